# The vehicle API's image: `docker build -t vehicle-api:dev .`
# Needs no root and writes nothing, so it runs with a read-only root filesystem as any user.

FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml .ci/requirements.lock ./
# What the service needs stands once, in pyproject.toml; the versions are those that the tests ran with.
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['api'], sep='\n')" > wanted.txt \
 && python -m venv --without-pip /opt/vehicle-api \
 && python -m pip --python /opt/vehicle-api/bin/python install --no-cache-dir --no-compile --only-binary :all: \
    --constraint requirements.lock --requirement wanted.txt
COPY vehicle_api /opt/vehicle-api/lib/python3.11/site-packages/vehicle_api
# Compiled here, because nothing can be written later; without times, so that the same sources give the same files.
RUN python -m compileall -q --invalidation-mode unchecked-hash /opt/vehicle-api/lib

FROM python:3.11-slim
# What installs and builds is of no use to a finished image, but to whoever breaks in.
RUN python -c "import importlib.util as u, shutil; [shutil.rmtree(s.submodule_search_locations[0]) for n in ('pip', 'setuptools', 'wheel') if (s := u.find_spec(n))]" \
 && rm -f /usr/bin/pip* /usr/local/bin/pip* /usr/local/bin/wheel
COPY --from=build /opt/vehicle-api /opt/vehicle-api
ENV PATH=/opt/vehicle-api/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 8080
# For Compose and `docker run`; Kubernetes has probes of its own.
HEALTHCHECK --interval=2s --timeout=3s --start-period=30s --retries=3 CMD ["python", "-m", "vehicle_api.healthcheck"]
ENTRYPOINT ["python", "-m", "vehicle_api"]
