//! An RPC endpoint of the simulated chain: answers alloy's JSON-RPC, late, wrongly, twice or not at all.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use alloy::consensus::{Transaction as _, TxEnvelope};
use alloy::eips::eip2718::Decodable2718;
use alloy::primitives::{Address, B256, Bytes, U256, hex};
use alloy::rpc::client::RpcClient;
use alloy::rpc::json_rpc::{ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use xos_auth::{parse_signature, recover};

use crate::blocks::{Block, Blocks, Mined, Taken, Transaction, ancestor, back};
use crate::dice::Dice;
use crate::evm::{CHAIN_ID, Call, GAS_LIMIT, look};
use crate::trace::Trace;

/// What is wrong with an endpoint at the moment; all zero is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ailment {
    /// It does not answer at all.
    pub(crate) down: bool,
    /// Requests that never arrive, in a thousand.
    pub(crate) requests_lost: u64,
    /// Answers that never arrive, in a thousand: what was asked is done.
    pub(crate) answers_lost: u64,
    /// Answers that say to come back later, in a thousand.
    pub(crate) refused: u64,
    /// How long an answer takes at most.
    pub(crate) latency_ms: u64,
}

/// Clones are the same endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    blocks: Arc<Mutex<Blocks>>,
    /// Whether its pending block holds what waits in the pool.
    shows_pending: bool,
    ailment: Mutex<Ailment>,
    /// Until then it knows no newer block than this one.
    late: Mutex<Option<(Instant, Arc<Block>)>>,
    dice: Dice,
    trace: Trace,
}

/// A client's own patience with an endpoint.
fn patience_ms() -> u64 {
    u64::try_from(xos_chain::REQUEST_TIMEOUT.as_millis()).unwrap()
}

type Answer = Result<Value, (i64, String, Option<Bytes>)>;

impl Endpoint {
    pub(crate) fn new(name: &str, blocks: Arc<Mutex<Blocks>>, shows_pending: bool, dice: Dice, trace: Trace) -> Self {
        let (ailment, late) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { name: name.to_owned(), blocks, shows_pending, ailment, late, dice, trace }))
    }

    pub(crate) fn client(&self) -> (String, RpcClient) {
        (self.0.name.clone(), RpcClient::new(self.clone(), false))
    }

    pub(crate) fn ail(&self, ailment: Ailment) {
        self.0.trace.note(&self.0.name, format!("{ailment:?}"));
        *self.0.ailment.lock().unwrap() = ailment;
    }

    /// It hears of no newer blocks for so long.
    pub(crate) fn lag(&self, by: Duration) {
        self.0.trace.note(&self.0.name, format!("hears of no block for {by:?}"));
        let tip = Arc::clone(&self.0.blocks.lock().unwrap().tip);
        *self.0.late.lock().unwrap() = Some((Instant::now() + by, tip));
    }

    pub(crate) fn heal(&self) {
        *self.0.ailment.lock().unwrap() = Ailment::default();
        *self.0.late.lock().unwrap() = None;
    }

    fn tip(&self) -> Arc<Block> {
        match &*self.0.late.lock().unwrap() {
            Some((until, tip)) if Instant::now() < *until => Arc::clone(tip),
            _ => Arc::clone(&self.0.blocks.lock().unwrap().tip),
        }
    }

    async fn serve(self, request: SerializedRequest) -> Result<Response, TransportError> {
        let ailment = *self.0.ailment.lock().unwrap();
        let dice = &self.0.dice;
        let (there, rest) = (dice.ms(1, 10), dice.ms(1, 1 + ailment.latency_ms));
        let lost = || Err(TransportErrorKind::custom_str("the simulated network lost it"));
        sleep(there).await;
        if ailment.down {
            return lost();
        }
        if dice.chance(ailment.requests_lost) {
            sleep(dice.ms(0, patience_ms())).await;
            return lost();
        }
        if dice.chance(ailment.refused) {
            let payload = ResponsePayload::Failure(ErrorPayload { code: 429, message: "slow down".into(), data: None });
            return Ok(Response { id: request.id().clone(), payload });
        }
        let params: Value = request.params().map_or(Value::Null, |raw| serde_json::from_str(raw.get()).unwrap());
        let answer = self.answer(request.method(), &params);
        if dice.chance(ailment.answers_lost) {
            self.0.trace.note(&self.0.name, format!("the answer to {} is lost", request.method()));
            sleep(dice.ms(0, patience_ms())).await;
            return lost();
        }
        sleep(rest).await;
        let raw = |value: &Value| RawValue::from_string(value.to_string()).unwrap();
        let payload = match answer {
            Ok(value) => ResponsePayload::Success(raw(&value)),
            Err((code, message, data)) => {
                let data = data.map(|data| raw(&json!(hex::encode_prefixed(data))));
                ResponsePayload::Failure(ErrorPayload { code, message: message.into(), data })
            }
        };
        Ok(Response { id: request.id().clone(), payload })
    }

    fn answer(&self, method: &str, params: &Value) -> Answer {
        match method {
            "eth_chainId" => Ok(hexadecimal(CHAIN_ID)),
            "eth_blockNumber" => Ok(hexadecimal(self.tip().number)),
            "eth_getCode" => Ok(json!("0x01")),
            "eth_getTransactionCount" => {
                let address = parse::<Address>(&params[0]);
                if params[1] == json!("pending") {
                    return Ok(hexadecimal(self.0.blocks.lock().unwrap().pending_nonce(address)));
                }
                self.block(&params[1])?.nonce(address).map(hexadecimal).ok_or_else(forgotten)
            }
            "eth_getBlockByNumber" => Ok(self.block(&params[0]).map_or(Value::Null, |block| block_json(&block))),
            "eth_call" => self.call(&params[0], &params[1]),
            "eth_getLogs" => Ok(self.logs(&params[0])),
            "eth_getTransactionReceipt" => Ok(self.receipt(parse(&params[0]))),
            "eth_feeHistory" => Ok(self.fees()),
            "eth_sendRawTransaction" => self.send(&params[0]),
            other => panic!("the simulated chain does not know {other}"),
        }
    }

    fn block(&self, which: &Value) -> Result<Arc<Block>, (i64, String, Option<Bytes>)> {
        let tip = self.tip();
        let missing = || (-32_001, "block not found".to_owned(), None);
        match which.as_str() {
            None | Some("latest" | "pending") => Ok(tip),
            Some("finalized") => {
                // As far as it can know: of a branch that it has not heard of yet nothing is final.
                let finalized = self.0.blocks.lock().unwrap().finalized_below(tip.number);
                ancestor(&tip, finalized).ok_or_else(missing)
            }
            Some(number) => ancestor(&tip, parse::<U256>(&json!(number)).to()).ok_or_else(missing),
        }
    }

    fn call(&self, request: &Value, at: &Value) -> Answer {
        let input = if request["input"].is_null() { &request["data"] } else { &request["input"] };
        let from = if request["from"].is_null() { Address::ZERO } else { parse(&request["from"]) };
        let (to, data) = (parse(&request["to"]), parse(input));
        let call = Call { from, to, value: U256::ZERO, data, gas_limit: GAS_LIMIT };
        let seen = if self.0.shows_pending && *at == json!("pending") {
            self.0.blocks.lock().unwrap().look_pending(&call)
        } else {
            let block = self.block(at)?;
            look(&block.state().ok_or_else(forgotten)?, block.at(), &call)
        };
        if seen.success {
            Ok(json!(hex::encode_prefixed(seen.output)))
        } else {
            Err((3, "execution reverted".to_owned(), Some(seen.output)))
        }
    }

    fn logs(&self, filter: &Value) -> Value {
        let (from, to) = (parse::<U256>(&filter["fromBlock"]).to(), parse::<U256>(&filter["toBlock"]).to());
        let address: Address = match &filter["address"] {
            Value::Array(list) => parse(&list[0]),
            one => parse(one),
        };
        let topic: B256 = match &filter["topics"][0] {
            Value::Array(list) => parse(&list[0]),
            one => parse(one),
        };
        let tip = self.tip();
        let mut logs = Vec::new();
        for block in back(&tip).skip_while(|block| block.number > to).take_while(|block| block.number >= from) {
            let of_block = log_json(block)
                .into_iter()
                .filter(|(log, _)| log.address == address && log.topics().first() == Some(&topic));
            logs.extend(of_block.map(|(_, json)| json).rev());
        }
        logs.reverse();
        Value::Array(logs)
    }

    fn receipt(&self, hash: B256) -> Value {
        let tip = self.tip();
        let found = back(&tip).find_map(|block| {
            let place = block.mined.iter().position(|mined| mined.transaction.hash == hash)?;
            Some((block, place))
        });
        found.map_or(Value::Null, |(block, place)| receipt_json(block, place))
    }

    /// What the next block costs is known; everybody paid a tip of one gwei lately.
    fn fees(&self) -> Value {
        let tip = self.tip();
        let next = self.0.blocks.lock().unwrap().base_fee;
        json!({
            "oldestBlock": hexadecimal(tip.number),
            "baseFeePerGas": [hexadecimal(next), hexadecimal(next)],
            "gasUsedRatio": [0.5],
            "reward": [["0x3b9aca00"]],
        })
    }

    fn send(&self, raw: &Value) -> Answer {
        let raw: Bytes = parse(raw);
        let envelope = TxEnvelope::decode_2718(&mut &raw[..]).expect("the product encodes transactions");
        let signature = parse_signature(&envelope.signature().as_erc2098()).expect("the product signs transactions");
        let from = recover(envelope.signature_hash(), &signature).expect("somebody signed it");
        let call = Call {
            from,
            to: envelope.to().expect("the product calls a contract"),
            value: envelope.value(),
            data: envelope.input().clone(),
            gas_limit: envelope.gas_limit(),
        };
        let transaction = Transaction {
            hash: *envelope.tx_hash(),
            call,
            nonce: Some(envelope.nonce()),
            max_fee: envelope.max_fee_per_gas(),
            priority: envelope.max_priority_fee_per_gas().unwrap_or(0),
        };
        let (hash, nonce) = (transaction.hash, envelope.nonce());
        let taken = self.0.blocks.lock().unwrap().send(transaction);
        self.0.trace.note(&self.0.name, format!("a transaction with nonce {nonce}: {taken:?}"));
        let refused = |message: &str| Err((-32_000, message.to_owned(), None));
        match taken {
            Taken::Pending => Ok(json!(hash)),
            Taken::AlreadyKnown => refused("already known"),
            Taken::NonceTooLow => refused("nonce too low"),
            Taken::Underpriced => refused("replacement transaction underpriced"),
        }
    }
}

impl tower::Service<RequestPacket> for Endpoint {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            match request {
                RequestPacket::Single(request) => this.serve(request).await.map(ResponsePacket::Single),
                RequestPacket::Batch(_) => panic!("the product sends no batches of requests"),
            }
        })
    }
}

fn forgotten() -> (i64, String, Option<Bytes>) {
    (-32_000, "missing trie node: the state of that block is pruned".to_owned(), None)
}

fn hexadecimal(number: impl std::fmt::LowerHex) -> Value {
    json!(format!("{number:#x}"))
}

fn parse<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

fn bloom() -> Value {
    json!(hex::encode_prefixed([0; 256]))
}

fn block_json(block: &Block) -> Value {
    let hashes: Vec<_> = block.mined.iter().map(|mined| mined.transaction.hash).collect();
    let parent = block.parent.as_ref().map_or(B256::ZERO, |parent| parent.hash);
    json!({
        "hash": block.hash, "parentHash": parent, "sha3Uncles": B256::ZERO, "miner": Address::ZERO,
        "stateRoot": B256::ZERO, "transactionsRoot": B256::ZERO, "receiptsRoot": B256::ZERO, "logsBloom": bloom(),
        "difficulty": "0x0", "number": hexadecimal(block.number), "gasLimit": "0x2255100", "gasUsed": "0x0",
        "timestamp": hexadecimal(block.time), "extraData": "0x", "mixHash": B256::ZERO, "nonce": "0x0000000000000000",
        "baseFeePerGas": hexadecimal(block.base_fee), "uncles": [], "transactions": hashes,
    })
}

/// Every log of a block, in order.
fn log_json(block: &Block) -> Vec<(&alloy::primitives::Log, Value)> {
    let mut logs = Vec::new();
    for (place, Mined { transaction, logs: of_one, .. }) in block.mined.iter().enumerate() {
        for log in of_one {
            let index = logs.len();
            logs.push((
                log,
                json!({
                    "address": log.address, "topics": log.topics(), "data": log.data.data,
                    "blockHash": block.hash, "blockNumber": hexadecimal(block.number),
                    "transactionHash": transaction.hash, "transactionIndex": hexadecimal(place),
                    "logIndex": hexadecimal(index), "removed": false,
                }),
            ));
        }
    }
    logs
}

fn receipt_json(block: &Block, place: usize) -> Value {
    let Mined { transaction, success, gas_used, .. } = &block.mined[place];
    let index = hexadecimal(place);
    let logs: Vec<_> = log_json(block).into_iter().map(|(_, log)| log).collect();
    let logs: Vec<_> = logs.into_iter().filter(|log| log["transactionIndex"] == index).collect();
    json!({
        "transactionHash": transaction.hash, "transactionIndex": index, "blockHash": block.hash,
        "blockNumber": hexadecimal(block.number), "from": transaction.call.from, "to": transaction.call.to,
        "cumulativeGasUsed": hexadecimal(*gas_used), "gasUsed": hexadecimal(*gas_used),
        "effectiveGasPrice": hexadecimal(block.base_fee), "contractAddress": null, "logs": logs, "logsBloom": bloom(),
        "status": if *success { "0x1" } else { "0x0" }, "type": "0x2",
    })
}
