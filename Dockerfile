# xds, and nothing else:  docker build -t xds --build-arg VERSION=1.2.3 --build-arg COMMIT=… --build-arg DATE=… .
#
# For BuildKit and for the builder before it alike, hence no cache mounts: what is
# slow, the modules and Envoy's API, are layers that a change of the code keeps.
FROM golang:1.26 AS build
WORKDIR /src
ENV CGO_ENABLED=0 GOFLAGS=-trimpath
COPY go.mod go.sum ./
RUN go mod download
COPY internal/extensions internal/extensions
RUN go build ./internal/extensions
COPY . .
# There is no .git here to take them from.
ARG VERSION COMMIT DATE
RUN mkdir -p /out/state /out/certs && go build -ldflags "-s -w -X main.version=$VERSION -X main.commit=$COMMIT -X main.date=$DATE" -o /out/xds ./cmd/xds

FROM scratch
COPY --from=build /out/xds /xds
# A new volume takes its owner from the folder that it is mounted on.
COPY --from=build --chown=65532:65532 /out/state /state
COPY --from=build --chown=65532:65532 /out/certs /certs
VOLUME /state
# By number: there is no /etc/passwd.
USER 65532:65532
# The admin API stays on the container's loopback, for the health check and
# `docker exec`; only xDS is for others.
# On an address that others reach the server wants certificates (XDS_TLS_CERT, …), or
# XDS_INSECURE_PLAINTEXT=true.
ENV XDS_LISTEN=0.0.0.0:17000 XDS_STATE=/state
EXPOSE 17000
HEALTHCHECK --interval=2s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/xds", "status", "--ready"]
ENTRYPOINT ["/xds"]
CMD ["serve"]
