// The certified OpenID Provider of npm's oidc-provider, on a port of its own. Its one argument is JSON: the clients and
// who is logged in. Prints its issuer; a line on its input rotates its keys; it ends when its input does.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Provider } from "oidc-provider";

const { clients, account, acr } = JSON.parse(process.argv[2]);

function newKey() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg: "RS256" };
}

function newProvider(issuer) {
  return new Provider(issuer, {
    clients,
    jwks: { keys: [newKey()] },
    cookies: { keys: [randomUUID()] },
    acrValues: [acr],
    claims: { acr: null, auth_time: null, iss: null, sid: null, openid: ["sub", "hetu"], profile: ["name"] },
    conformIdTokenClaims: false,
    features: {
      devInteractions: { enabled: false },
      encryption: { enabled: true },
      requestObjects: { enabled: true },
    },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...account }) }),
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    async loadExistingGrant(ctx) {
      const { client, session, provider } = ctx.oidc;
      const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope("openid profile");
      await grant.save();
      return grant;
    },
  });
}

let provider;
const server = createServer(async (request, response) => {
  if (request.url.startsWith("/interaction/")) {
    const login = { accountId: "somebody", acr, ts: Math.floor(Date.now() / 1000) };
    await provider.interactionFinished(request, response, { login });
  } else {
    provider.callback()(request, response);
  }
});
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  provider = newProvider(issuer);
  console.log(issuer);
  createInterface({ input: process.stdin })
    .on("line", () => {
      provider = newProvider(issuer);
      console.log("rotated");
    })
    .on("close", () => process.exit(0));
});
