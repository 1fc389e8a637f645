# The page (dyntex ui) and the command, for CPUs:
#   docker build -t dyntex .
#   docker run --rm -p 127.0.0.1:8000:8000 -v dyntex:/data dyntex            # open the address that it prints
#   docker run --rm -v "$PWD:/data" dyntex synthesize fire.mp4 -o new.mp4
FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY dyntex dyntex
COPY baselines baselines
COPY benchmarks benchmarks
RUN pip install --no-cache-dir -c constraints.txt build hatchling \
    && python -m build --no-isolation --wheel --outdir /wheels

FROM python:3.12-slim
COPY constraints.txt /tmp/
COPY --from=build /wheels /wheels
# PyTorch's index has the build for CPUs, a tenth of the size of the other.
RUN pip install --no-cache-dir -c /tmp/constraints.txt --extra-index-url https://download.pytorch.org/whl/cpu \
        "$(echo /wheels/*.whl)[ui,cluster]" \
    && rm -r /wheels /tmp/constraints.txt \
    && useradd --create-home --uid 1000 dyntex && install -d -o dyntex /data
USER dyntex
WORKDIR /data
EXPOSE 8000
ENTRYPOINT ["dyntex"]
CMD ["ui", "--host", "0.0.0.0", "--port", "8000", "--folder", "/data", "--no-browser"]
