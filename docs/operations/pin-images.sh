#!/bin/sh
# Pins every image of docker-compose.yml and the Dockerfile by its digest, or pins it anew after its version was changed.
# It needs a network and Docker with buildx: docs/operations/pin-images.sh
set -eu
cd "$(dirname "$0")/../.."

# The `image:` lines with a version, and the base image. The image that is built here has none to pin.
images() {
    sed -nE -e 's/^ *image: ([a-z0-9./-]+:[a-z0-9.-]+)(@sha256:[0-9a-f]{64})?$/\1/p' docker-compose.yml
    sed -nE -e 's/^FROM ([a-z0-9./-]+:[a-z0-9.-]+)(@sha256:[0-9a-f]{64})?( AS .*)?$/\1/p' Dockerfile
}

for image in $(images | sort -u); do
    # Of the index, not of one platform's manifest: the pin holds on every kind of machine.
    digest=$(docker buildx imagetools inspect "$image" --format '{{.Manifest.Digest}}')
    case $digest in sha256:*) ;; *) echo "$image: no digest" >&2 && exit 1 ;; esac
    for file in docker-compose.yml Dockerfile; do
        sed -E -e "s|^( *image: \|FROM )$image(@sha256:[0-9a-f]{64})?( AS .*)?\$|\\1$image@$digest\\3|" "$file" >"$file.new"
        # Written in place, so that the file keeps its mode.
        cat "$file.new" >"$file" && rm "$file.new"
    done
    echo "$image@$digest"
done
