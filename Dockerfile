# The binary is static, so the image needs nothing but the certificates of the
# servers that it calls.
FROM golang:1.26 AS build
ENV GOTOOLCHAIN=local
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=container
RUN make build VERSION="$VERSION" && mkdir /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/connvo /connvo
# The user is a number: there is no /etc/passwd, and hosts that forbid root want
# to see that it is not 0. A fresh volume takes the owner of this directory.
COPY --from=build --chown=65532:65532 /data /data
USER 65532:65532
VOLUME /data
# Outside a container connvo listens on loopback; in one nobody could reach that.
# Everyone can reach this, so connvo refuses to start without WORKOS_CLIENT_ID.
ENV CONNVO_DB=/data/connvo.db CONNVO_LISTEN=0.0.0.0:8080
EXPOSE 8080
# Without a shell in between, so that SIGTERM reaches connvo.
ENTRYPOINT ["/connvo"]
