# Where students' code runs when bn-grade has no bubblewrap: Python and the packages of a notebook, nothing of this book.
#
#   podman build --file deploy/sandbox.Dockerfile --tag bn-sandbox .
#   bn-grade batch-norm --container bn-sandbox
#
# Python has to be of the grader's version: --build-arg PYTHON=3.12

ARG PYTHON=3.11
FROM python:${PYTHON}-slim-bookworm
COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --constraint /tmp/requirements.txt numpy ipython ipykernel matplotlib matplotlib-inline anywidget \
 && rm /tmp/requirements.txt \
 && install --directory --mode 1777 /scratch
