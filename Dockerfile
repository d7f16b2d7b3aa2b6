# One image for the hook and the adapters. The Deployment has the command: `python -m hooks` or `python -m adapter`.
# A release names the base by its digest: docs/release.md, "Build the image".
ARG BASE=python:3.13-slim
# otlp.lock adds the packages that export traces: docs/tracing.md.
ARG LOCK=runtime.lock

FROM ${BASE} AS app
ARG LOCK
WORKDIR /app
COPY requirements/${LOCK} /tmp/
RUN pip install --no-cache-dir --no-compile --require-hashes --target lib -r /tmp/${LOCK} && rm -rf lib/bin
COPY hooks hooks
COPY adapter adapter

# Compiles all code, also the standard library, which the base image has only as text. The root is read-only at run time,
# so Python would compile it again at each start. unchecked-hash: the file times of a layer are not reliable.
# chmod: the files of a checkout have the modes of its umask, but all users must read them, and builds must be equal.
FROM ${BASE} AS root
COPY --from=app /app /app
RUN python -c 'from importlib.util import find_spec as f; print(*(p for n in ("pip", "setuptools", "pkg_resources", \
      "wheel", "ensurepip", "idlelib", "lib2to3", "tkinter", "test") if f(n) for p in f(n).submodule_search_locations))' \
  | xargs rm -rf /usr/bin/pip* /usr/local/bin/pip* /usr/share/man /usr/share/locale /var/lib/apt /var/cache/apt \
 && python -c 'import os, sys; print(*(path for path in sys.path if os.path.isdir(path) and path.startswith("/usr")))' \
  | xargs python -m compileall -q -j 0 --invalidation-mode unchecked-hash /app \
 && chmod -R u=rwX,go=rX /app

# One layer, so that the image does not contain the files that were removed above.
FROM scratch
COPY --from=root / /
# Without a user site: a volume of spec.adapter could be mounted there.
ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 PYTHONPATH=/app:/app/lib PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 PYTHONNOUSERSITE=1
WORKDIR /app
USER 65532:65532
CMD ["python", "-m", "adapter"]
