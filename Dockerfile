# The last stage is the image for the API, the worker and the migrations, which must run the same version. `sandbox` is
# another one, to try Holdfast out.

FROM python:3.11.15-slim-bookworm AS python
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin holdfast
ENV PATH=/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app

FROM python AS dependencies
COPY requirements.production.lock .
# --no-deps: the lock is complete, so nothing else may be installed.
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement requirements.production.lock

FROM dependencies AS sandbox
COPY requirements.lock .
RUN /venv/bin/pip install --no-cache-dir --no-deps --require-hashes --requirement requirements.lock \
    && install --directory --owner=10001 --group=10001 /state
COPY sandbox sandbox
USER 10001:10001

FROM python
COPY --from=dependencies /venv /venv
# Alembic reads its settings from pyproject.toml.
COPY pyproject.toml worker.py replay.py restore.py ./
COPY models models
COPY activities activities
COPY workflows workflows
COPY api api
RUN python -m compileall -q .
USER 10001:10001
EXPOSE 8000
CMD ["uvicorn", "--factory", "api.main:create_app", "--host", "0.0.0.0", "--port", "8000", \
     "--timeout-graceful-shutdown", "10"]
