# The image that manifests/install.yaml runs: one program, the certificates of public authorities, and no shell.
#
#     docker build --tag tautline:0.1.0 .
#
# It is run as no user of any machine and writes nothing outside the volumes that it is given.

FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
# The next image has no zlib; everything else from outside is compiled in anyway.
ENV LIBZ_SYS_STATIC=1
RUN cargo build --release --locked --package tautline

# The C library, libgcc, and /etc/ssl/certs/ca-certificates.crt.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /source/target/release/tautline /usr/local/bin/tautline
# Name a file with the authority of your Git server beside them, or mount one over it.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/tautline"]
