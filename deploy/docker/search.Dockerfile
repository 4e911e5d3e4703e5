# The search service of examples/, on the image of deploy/docker/Dockerfile.
#   docker build -f deploy/docker/search.Dockerfile -t rank-search:0.1.0 .
ARG RANK_IMAGE=rank-toolkit:0.1.0
FROM ${RANK_IMAGE}
USER root
COPY deploy/docker/search.txt /tmp/search.txt
RUN pip install --no-cache-dir -r /tmp/search.txt && mkdir /captures && chown 10001:10001 /captures
COPY examples /srv/examples
USER 10001:10001
WORKDIR /srv
ENTRYPOINT ["uvicorn", "--factory", "examples.search_service:create_app", "--host", "0.0.0.0", "--port", "8080"]
CMD []
