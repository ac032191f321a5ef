#!/usr/bin/env node
// A trader that knows nothing of ours but docs/rpc.md: viem signs an order, and the node accepts it. Then every field is changed
// once after signing, and the node must see that somebody else, or nobody, signed that.
//
//     node test/clients/viem.mjs <url of the node> <private key> <account> <market>
import {createRequire} from "node:module";

const require = createRequire(process.env.XOS_NODE_MODULES ?? import.meta.url);
const {hashTypedData} = require("viem");
const {privateKeyToAccount} = require("viem/accounts");

const [url, privateKey, account, market] = process.argv.slice(2);
const trader = privateKeyToAccount(privateKey);

let calls = 0;
const call = async (method, params) => {
  const response = await fetch(url, {
    method: "POST",
    headers: {"content-type": "application/json"},
    body: JSON.stringify({jsonrpc: "2.0", id: ++calls, method, params}),
  });
  if (!/"address";r=\d+/.test(response.headers.get("ratelimit") ?? "")) throw new Error(`${method} does not say what is left`);
  return response.json();
};
const expect = (what, got, wanted) => {
  if (JSON.stringify(got) !== JSON.stringify(wanted)) {
    throw new Error(`${what}: got ${JSON.stringify(got)}, expected ${JSON.stringify(wanted)}`);
  }
};

const info = (await call("xos_info", [])).result;
const domain = {name: "Exchange OS", version: "1", chainId: info.chainId, verifyingContract: info.group};
const types = {
  Order: [
    ["account", "uint64"], ["market", "uint32"], ["side", "uint8"], ["kind", "uint8"], ["reduceOnly", "bool"],
    ["size", "uint64"], ["price", "uint64"], ["nonce", "uint64"], ["expiry", "uint64"], ["maxFee", "uint32"],
    ["builder", "uint32"], ["builderFee", "uint32"],
  ].map(([name, type]) => ({name, type})),
};
const document = (await call("rpc.discover", [])).result;
const described = document.methods.find(({name}) => name === "xos_placeOrder").params[0];
const sides = ["buy", "sell"];
const kinds = ["good_till_cancelled", "immediate_or_cancel", "fill_or_kill", "post_only"];
const typed = (order) => ({domain, types, primaryType: "Order", message: order});
const wire = (order, signature) => ({
  account: String(order.account), market: order.market, side: sides[order.side], kind: kinds[order.kind],
  reduceOnly: order.reduceOnly, size: String(order.size), price: String(order.price), nonce: String(order.nonce),
  expiry: String(order.expiry), maxFee: order.maxFee, builder: order.builder, builderFee: order.builderFee, signature,
});

const order = {
  account: BigInt(account), market: Number(market), side: 0, kind: 3, reduceOnly: false, size: 10n, price: 123n, nonce: 1n,
  expiry: BigInt(Date.now() + 3_600_000), maxFee: 1000, builder: 0, builderFee: 0,
};
const wired = Object.keys(wire({}, ""));
expect("the OpenRPC document has an order's fields", Object.keys(described.schema.properties).sort(), wired.sort());
const placed = await call("xos_placeOrder", [wire(order, await trader.signTypedData(typed(order)))]);
expect("the order is accepted", placed.result?.remaining, "10");
const info2 = await call("xos_order", [account, "1"]);
expect("it rests", info2.result?.status, "resting");

const good = {...order, nonce: 2n};
const signature = await trader.signTypedData(typed(good));
const changes = {
  account: good.account + 1n, market: good.market + 1, side: 1, kind: 0, reduceOnly: true, size: 11n, price: 124n, nonce: 3n,
  expiry: good.expiry + 1n, maxFee: 1001, builder: 1, builderFee: 1,
};
expect("every field is changed once", Object.keys(changes).sort(), Object.keys(good).sort());
for (const [field, value] of Object.entries(changes)) {
  const changed = {...good, [field]: value};
  const {error} = await call("xos_placeOrder", [wire(changed, signature)]);
  expect(`${field} was changed`, [error?.code, error?.data?.name, error?.data?.type?.split("(")[0]], [1001, "bad_signature", "Order"]);
  // What the node read is what was sent, so a client that hashes what it meant to send sees that they differ.
  expect(`${field} was read`, error.data.digest, hashTypedData(typed(changed)));
  if (error.data.recovered.toLowerCase() === trader.address.toLowerCase()) throw new Error(`${field}: the signature still holds`);
}
const last = await call("xos_placeOrder", [wire(good, signature)]);
expect("unchanged it is accepted", last.result?.remaining, "10");
console.log(`viem signed, the node accepted; ${Object.keys(changes).length} changes were refused`);
