#!/usr/bin/env node
// Writes eip712.json: messages, struct hashes, digests and signatures that forge and cargo tests both read.
//
// It shares no code with either side: hashes come from the EIP-712 encoder below over js-sha3, signatures from
// `cast wallet sign`, once over the whole typed data (cast's own encoder) and once over our digest; they must agree.
//
//     node test/vectors/make-eip712.mjs            writes test/vectors/eip712.json
//     node test/vectors/make-eip712.mjs --check    fails if that file is not what this script would write
import {execFileSync} from "node:child_process";
import {readFileSync, writeFileSync} from "node:fs";
import {createRequire} from "node:module";
import {fileURLToPath} from "node:url";

const require = createRequire(import.meta.url);
const {keccak256} = require("js-sha3");
const root = fileURLToPath(new URL("../../", import.meta.url));
const target = fileURLToPath(new URL("eip712.json", import.meta.url));
const cast = `${root}node_modules/.bin/cast`;

const keccak = (hex) => "0x" + keccak256(Buffer.from(hex.replace(/^0x/, ""), "hex"));
const keccakText = (text) => "0x" + keccak256(text);
const word = (value) => BigInt(value).toString(16).padStart(64, "0");

const types = {
  Order: [
    ["account", "uint64"], ["market", "uint32"], ["side", "uint8"], ["kind", "uint8"], ["reduceOnly", "bool"],
    ["size", "uint64"], ["price", "uint64"], ["nonce", "uint64"], ["expiry", "uint64"], ["maxFee", "uint32"],
    ["builder", "uint32"], ["builderFee", "uint32"],
  ],
  Withdraw: [["account", "uint64"], ["token", "address"], ["amount", "uint128"], ["nonce", "uint64"], ["expiry", "uint64"]],
  Cancel: [["account", "uint64"], ["nonce", "uint64"]],
  CancelAll: [["account", "uint64"], ["below", "uint64"]],
  Amend: [["account", "uint64"], ["nonce", "uint64"], ["size", "uint64"]],
  CancelMany: [["account", "uint64"], ["venue", "uint32"], ["market", "uint32"], ["sides", "uint8"], ["nonce", "uint64"]],
  CancelAfter: [["account", "uint64"], ["time", "uint64"], ["nonce", "uint64"]],
  Transfer: [
    ["account", "uint64"], ["gateway", "address"], ["to", "uint64"], ["token", "address"], ["amount", "uint128"],
    ["nonce", "uint64"], ["expiry", "uint64"],
  ],
  Liquidate: [
    ["keeper", "uint64"], ["account", "uint64"], ["market", "uint32"], ["size", "uint64"], ["limit", "uint128"],
    ["nonce", "uint64"], ["expiry", "uint64"],
  ],
  Convert: [
    ["keeper", "uint64"], ["account", "uint64"], ["asset", "uint8"], ["amount", "uint128"], ["limit", "uint128"],
    ["nonce", "uint64"], ["expiry", "uint64"],
  ],
  Session: [["account", "uint64"], ["scope", "uint8"], ["expiry", "uint64"], ["challenge", "bytes32"]],
  OrderTree: [["root", "bytes32"]],
  Batch: [["id", "uint64"], ["parent", "bytes32"], ["content", "bytes32"]],
};
const domainType = [["name", "string"], ["version", "string"], ["chainId", "uint256"], ["verifyingContract", "address"]];
const domain = {
  name: "Exchange OS",
  version: "1",
  chainId: 31337,
  verifyingContract: "0x5fbdb2315678afecb367f032d93f642f64180aa3",
};

const signature = (name, fields) => `${name}(${fields.map(([field, type]) => `${type} ${field}`).join(",")})`;
const typeHash = (name) => keccakText(signature(name, types[name]));
const structHash = (name, message) =>
  keccak(typeHash(name) + types[name].map(([field]) => word(message[field])).join(""));
const separator = keccak(
  keccakText(signature("EIP712Domain", domainType)) +
    keccakText(domain.name).slice(2) + keccakText(domain.version).slice(2) +
    word(domain.chainId) + word(domain.verifyingContract),
);
const digest = (hash) => keccak("0x1901" + separator.slice(2) + hash.slice(2));

const named = (fields) => fields.map(([name, type]) => ({name, type}));
const typedData = (name, message) =>
  JSON.stringify({
    types: {EIP712Domain: named(domainType), [name]: named(types[name])},
    primaryType: name,
    domain,
    message,
  });

const run = (...args) => execFileSync(cast, args, {encoding: "utf8"}).trim();
const compact = (signature65) => {
  const bytes = signature65.slice(2);
  const [r, s, v] = [bytes.slice(0, 64), bytes.slice(64, 128), parseInt(bytes.slice(128), 16)];
  if (v !== 27 && v !== 28) throw new Error(`recovery byte ${v}`);
  return {r: "0x" + r, vs: "0x" + word(BigInt("0x" + s) | (BigInt(v - 27) << 255n))};
};

let keys = 0;
const entry = (name, message) => {
  const privateKey = keccakText(`exchange os test vector ${++keys}`);
  const hash = structHash(name, message);
  const byDigest = run("wallet", "sign", "--no-hash", digest(hash), "--private-key", privateKey);
  const byTypedData = run("wallet", "sign", "--data", typedData(name, message), "--private-key", privateKey);
  if (byDigest !== byTypedData) throw new Error(`cast encodes ${name} ${JSON.stringify(message)} differently`);
  const signer = run("wallet", "address", "--private-key", privateKey).toLowerCase();
  return {message, structHash: hash, digest: digest(hash), privateKey, signer, ...compact(byDigest)};
};

// Numbers of up to 32 bits are JSON numbers, wider ones decimal strings.
const u64Max = (2n ** 64n - 1n).toString();
const u128Max = (2n ** 128n - 1n).toString();
const u32Max = 2 ** 32 - 1;
const token = "0xe7f1725e7734ce288f8367e1bb143e90bb3f0512";
const noAddress = "0x" + "0".repeat(40);
const lastAddress = "0x" + "f".repeat(40);
const zeros = "0x" + "0".repeat(64);
const ones = "0x" + "f".repeat(64);
const order = (changes) => ({
  account: "7", market: 258, side: 0, kind: 0, reduceOnly: false, size: "100", price: "505", nonce: "1",
  expiry: "0", maxFee: 1000, builder: 0, builderFee: 0, ...changes,
});

const vectors = {
  domain: {...domain, separator},
  typeHashes: Object.fromEntries(Object.keys(types).map((name) => [name, typeHash(name)])),
  orders: [
    order({}),
    order({side: 1, kind: 3, price: "999", nonce: "2", expiry: "1783900800000"}),
    order({kind: 1, nonce: "18446744073709551614", size: "1"}),
    order({side: 1, kind: 2, reduceOnly: true, builder: 12, builderFee: 250, market: 149 * 256 + 2}),
    {account: "0", market: 0, side: 0, kind: 0, reduceOnly: false, size: "0", price: "0", nonce: "0", expiry: "0", maxFee: 0, builder: 0, builderFee: 0},
    {account: u64Max, market: u32Max, side: 1, kind: 3, reduceOnly: true, size: u64Max, price: u64Max, nonce: u64Max, expiry: u64Max, maxFee: u32Max, builder: u32Max, builderFee: u32Max},
  ].map((message) => entry("Order", message)),
  withdraws: [
    {account: "7", token: "0xe7f1725e7734ce288f8367e1bb143e90bb3f0512", amount: "1000000", nonce: "3", expiry: "0"},
    {account: u64Max, token: "0x" + "f".repeat(40), amount: u128Max, nonce: u64Max, expiry: u64Max},
    {account: "0", token: "0x" + "0".repeat(40), amount: "0", nonce: "0", expiry: "0"},
  ].map((message) => entry("Withdraw", message)),
  cancels: [{account: "7", nonce: "1"}, {account: u64Max, nonce: u64Max}, {account: "0", nonce: "0"}].map((message) =>
    entry("Cancel", message),
  ),
  cancelAlls: [{account: "7", below: "4096"}, {account: u64Max, below: u64Max}, {account: "0", below: "0"}].map((message) =>
    entry("CancelAll", message),
  ),
  batches: [
    {id: "1", parent: zeros, content: keccakText("a batch")},
    {id: u64Max, parent: ones, content: ones},
    {id: "0", parent: zeros, content: zeros},
  ].map((message) => entry("Batch", message)),
  transfers: [
    {account: "7", gateway: noAddress, to: "9223372067120218369", token, amount: "2500000", nonce: "4", expiry: "0"},
    {account: "7", gateway: "0xcf7ed3acca5a467e9e704c703e8d87f634fb0fc9", to: "0", token, amount: "1", nonce: "5", expiry: "1783900800000"},
    {account: u64Max, gateway: lastAddress, to: u64Max, token: lastAddress, amount: u128Max, nonce: u64Max, expiry: u64Max},
  ].map((message) => entry("Transfer", message)),
  liquidates: [
    {keeper: "9", account: "7", market: 512, size: "1000", limit: "64000000000000", nonce: "6", expiry: "1783900800000"},
    {keeper: u64Max, account: u64Max, market: u32Max, size: u64Max, limit: u128Max, nonce: u64Max, expiry: u64Max},
  ].map((message) => entry("Liquidate", message)),
  converts: [
    {keeper: "9", account: "7", asset: 3, amount: "1500000000000000000", limit: "3000000000", nonce: "7", expiry: "0"},
    {keeper: u64Max, account: u64Max, asset: 255, amount: u128Max, limit: u128Max, nonce: u64Max, expiry: u64Max},
  ].map((message) => entry("Convert", message)),
  orderTrees: [{root: keccakText("a ladder of orders")}, {root: ones}, {root: zeros}].map((message) =>
    entry("OrderTree", message),
  ),
  amends: [{account: "7", nonce: "1", size: "250"}, {account: u64Max, nonce: u64Max, size: u64Max}].map((message) =>
    entry("Amend", message),
  ),
  cancelManys: [
    {account: "7", venue: 1, market: 512, sides: 2, nonce: "8"},
    {account: u64Max, venue: u32Max, market: u32Max, sides: 1, nonce: u64Max},
    {account: "0", venue: 0, market: 0, sides: 0, nonce: "0"},
  ].map((message) => entry("CancelMany", message)),
  cancelAfters: [{account: "7", time: "1783900800000", nonce: "9"}, {account: u64Max, time: u64Max, nonce: u64Max}].map((message) =>
    entry("CancelAfter", message),
  ),
  sessions: [
    {account: "7", scope: 1, expiry: "1783900800000", challenge: keccakText("a connection")},
    {account: u64Max, scope: 1, expiry: u64Max, challenge: ones},
  ].map((message) => entry("Session", message)),
};

const parities = new Set(Object.values(vectors).flat().filter((v) => v.vs).map((v) => v.vs[2] >= "8"));
if (parities.size !== 2) throw new Error("the vectors do not cover both parities");

const text = JSON.stringify(vectors, null, 2) + "\n";
if (process.argv.includes("--check")) {
  if (readFileSync(target, "utf8") !== text) throw new Error(`${target} differs: run this script without --check`);
} else {
  writeFileSync(target, text);
}
