from api.http.documents import Documents


async def test_the_least_recently_used_documents_go_first() -> None:
    documents, drawn = Documents(max_bytes=2), list[str]()

    async def read(name: str) -> bytes:
        def draw() -> bytes:
            drawn.append(name)
            return name.encode()

        return await documents.get(name, draw)

    for name in ("a", "b", "a", "c", "a", "b"):
        assert await read(name) == name.encode()
    assert drawn == ["a", "b", "c", "b"]


async def test_a_document_larger_than_the_bound_is_still_returned() -> None:
    documents = Documents(max_bytes=2)
    assert await documents.get("a", lambda: b"too large") == b"too large"
    assert await documents.get("b", lambda: b"b") == b"b"
