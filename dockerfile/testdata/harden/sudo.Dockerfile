FROM ubuntu:24.04
USER builder
RUN sudo DEBIAN_FRONTEND=noninteractive apt-get update \
 && sudo apt-get install -y \
      python3-pip \
 && pip install --user --no-cache-dir poetry==2.0 \
 && poetry install
