# Where students' code runs when bn-grade has no bubblewrap: Python and the packages of a notebook, nothing of this book.
#
#   podman build --file deploy/sandbox.Dockerfile --tag bn-sandbox .
#   bn-grade batch-norm --container bn-sandbox
#
# Python has to be of the grader's version: --build-arg PYTHON=3.12
#
# A tag is moved with every update. To build on the same image again, name what the registry says it is now:
#
#   docker buildx imagetools inspect python:3.11-slim-bookworm --format '{{.Manifest.Digest}}'
#   podman build ... --build-arg BASE=python:3.11-slim-bookworm@sha256:...

ARG PYTHON=3.11
ARG BASE=python:${PYTHON}-slim-bookworm
FROM ${BASE}
WORKDIR /packages
COPY pyproject.toml requirements.txt ./
RUN python -c 'import tomllib; extras = tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]; \
               print(*extras["notebook"], sep="\n")' > notebook.txt \
 && pip install --no-cache-dir --constraint requirements.txt --requirement notebook.txt \
 && cd / && rm -r /packages \
 && install --directory --mode 1777 /scratch
WORKDIR /
