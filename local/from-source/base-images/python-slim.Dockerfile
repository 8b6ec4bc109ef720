# Stand-in for the official python:3.13-slim image: Debian 13's Python 3.13, called python and pip as there.
# Debian forbids pip outside a venv (EXTERNALLY-MANAGED); the official image does not.
ARG DEBIAN_IMAGE
FROM ${DEBIAN_IMAGE}
RUN apt-get update \
    && apt-get install python3 python3-pip python3-venv \
    && rm -rf /var/lib/apt/lists/* /usr/lib/python3.13/EXTERNALLY-MANAGED \
    && ln -s /usr/bin/python3 /usr/local/bin/python \
    && ln -s /usr/bin/python3 /usr/local/bin/python3
CMD ["python3"]
