# Stand-in for the official redis image: Debian 13's Redis 8.0, found on PATH as there.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN apt-get update \
    && apt-get install redis-server redis-tools \
    && rm -rf /var/lib/apt/lists/* /etc/redis /var/lib/redis \
    && mkdir /data && chown redis:redis /data
WORKDIR /data
EXPOSE 6379
CMD ["redis-server"]
