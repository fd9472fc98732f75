FROM node:24-slim AS dependencies
WORKDIR /baton
COPY package.json package-lock.json ./
# No scripts: the image brings Node itself.
RUN npm ci --omit=dev --ignore-scripts

FROM node:24-slim
ENV NODE_ENV=production BATON_HTTP_HOST=0.0.0.0
WORKDIR /baton
COPY --from=dependencies /baton/node_modules ./node_modules
COPY package.json ./
COPY config ./config
COPY src ./src
# Node's user, by number: Kubernetes' `runAsNonRoot` knows no names.
USER 1000:1000
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.BATON_HTTP_PORT ?? 8080}/livez`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
# Exec form: SIGTERM reaches Baton, which closes its sessions over a while; give it longer than `lifecycle.deadlineMs`.
# The flag: as `npm start` has it.
ENTRYPOINT ["node", "--max-semi-space-size=8", "src/main.ts"]
