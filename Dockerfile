# Both halves in one image; the Deployment chooses the command: `python -m hooks` or `python -m adapter`.
ARG PYTHON=3.13
FROM python:${PYTHON}-slim AS build
WORKDIR /app
COPY requirements/runtime.lock .
RUN pip install --no-cache-dir --no-compile --require-hashes --target /app/lib -r runtime.lock
COPY hooks hooks
COPY adapter adapter
RUN rm -rf hooks/dev && python -m compileall -q -j 0 lib hooks adapter

FROM python:${PYTHON}-slim
WORKDIR /app
COPY --from=build /app/lib lib
COPY --from=build /app/hooks hooks
COPY --from=build /app/adapter adapter
ENV PYTHONPATH=/app:/app/lib PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
CMD ["python", "-m", "adapter"]
