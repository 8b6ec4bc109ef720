# Stand-in for the official python:3.13 image, which brings compilers and the headers that C extensions need.
ARG PYTHON_SLIM_IMAGE
FROM ${PYTHON_SLIM_IMAGE}
RUN apt-get update \
    && apt-get install gcc libc6-dev make pkg-config python3-dev default-libmysqlclient-dev \
    && rm -rf /var/lib/apt/lists/*
CMD ["python3"]
