# syntax=docker/dockerfile:1
# The operator with the functions that it uploads:
#
#   docker build --tag sumu-operator:0.1.0 .
#   docker buildx build --platform linux/amd64,linux/arm64 --tag REPOSITORY/sumu-operator:0.1.0 --push .
#
# All is built once on the builder's own processor, for both, so the second platform costs nothing. A stack may want
# functions for a processor that is not the operator's; that is why each image has both.
#
# The same commit gives the same programs and packages with the same BUILDER (image/build.sh). Name both bases by digest where
# all of the image has to be repeated to the byte (`--build-arg RUNTIME=…@sha256:…`).

# Debian 12's glibc asks for nothing that Amazon Linux 2023, where the functions run, does not have.
ARG BUILDER=rust:1.95-bookworm
ARG RUNTIME=gcr.io/distroless/cc-debian12:nonroot

FROM --platform=$BUILDPLATFORM ${BUILDER} AS build
# A compiler for the processor that is not the builder's.
RUN case $(uname -m) in \
      x86_64) other="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;; \
      *) other="gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;; \
    esac; \
    apt-get update && apt-get install --yes --no-install-recommends cmake $other && rm -rf /var/lib/apt/lists/*
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc \
    CARGO_TARGET_DIR=/target
WORKDIR /source
COPY rust-toolchain.toml ./
RUN rustup target add x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu

# What we depend on, built again only when a manifest changes.
COPY Cargo.toml Cargo.lock ./
COPY operator/Cargo.toml operator/
COPY lambdas/Cargo.toml lambdas/
COPY lambdas/contract/Cargo.toml lambdas/contract/
COPY tests/Cargo.toml tests/
COPY image/stubs.sh image/build.sh image/
ENV TARGETS="x86_64-unknown-linux-gnu aarch64-unknown-linux-gnu"
RUN image/stubs.sh && image/build.sh $TARGETS

COPY . .
# The stubs are newer than what was copied; Cargo goes by the time.
RUN find operator lambdas -name '*.rs' -exec touch {} + && image/build.sh $TARGETS
ARG SOURCE_DATE_EPOCH=0
# Docker and Rust have different names for one processor.
RUN built=/target/x86_64-unknown-linux-gnu/release:/target/aarch64-unknown-linux-gnu/release; \
    packer=/target/$(uname -m)-unknown-linux-gnu/release/sumu-operator; \
    for names in amd64:x86_64 arm64:aarch64; do \
      image/layout.sh "$packer" "/target/${names#*:}-unknown-linux-gnu/release/sumu-operator" "/image/${names%%:*}" \
        "x86_64=${built%%:*}" "arm64=${built#*:}" || exit 1; \
    done

FROM ${RUNTIME}
ARG TARGETARCH
LABEL org.opencontainers.image.title="sumu-operator" \
      org.opencontainers.image.description="Live WebSockets on AWS without servers, from one Kubernetes object" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/${TARGETARCH}/ /
# So that glibc gives the memory of an upload back: 12 MiB after a stack was made instead of 52.
ENV MALLOC_MMAP_THRESHOLD_=131072
# A number, so that a cluster can see that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/sumu-operator"]
CMD ["run"]
