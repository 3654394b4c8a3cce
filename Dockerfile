FROM node:24-trixie-slim AS build
WORKDIR /opt/entrepot
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && chmod 755 dist/main.js && npm prune --omit=dev --ignore-scripts

FROM node:24-trixie-slim
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates tini \
  && rm -rf /var/lib/apt/lists/* \
  && mkdir -p /etc/entrepot /var/lib/registry \
  && chown 1000:1000 /var/lib/registry
ENV NODE_ENV=production
# Calls of the disk wait in these threads: of Node's own 4 a few downloads soon have all in a sync.
ENV UV_THREADPOOL_SIZE=16
COPY --from=build /opt/entrepot/package.json /opt/entrepot/package.json
COPY --from=build /opt/entrepot/node_modules /opt/entrepot/node_modules
COPY --from=build /opt/entrepot/dist /opt/entrepot/dist
COPY LICENSE /usr/share/entrepot/LICENSE
COPY deploy/image/config.yml /etc/entrepot/config.yml
COPY deploy/image/config.yml deploy/image/proxy.yml /usr/share/entrepot/
COPY deploy/image/entrypoint.sh /usr/local/bin/entrepot-image
RUN ln -s /opt/entrepot/dist/main.js /usr/local/bin/entrepot \
  && ln -s /opt/entrepot/dist/main.js /usr/local/bin/registry
USER 1000:1000
VOLUME /var/lib/registry
EXPOSE 5000 5001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["entrepot-image", "health"]
ENTRYPOINT ["tini", "--", "entrepot-image"]
