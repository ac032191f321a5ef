//! What a node answers is what its OpenRPC document says: of every method a result and a refusal, of every subscription a message,
//! with nothing in it that the document does not know.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use xos_api::{Code, PlanRequest, ReplaceRequest};
use xos_auth::{Typed, signature_bytes};
use xos_types::{
    AccountId, Amend, Cancel, CancelAfter, CancelAll, CancelMany, Crossing, Lots, Nonce, Order, Plan, SelfTrade, Side,
    Sides, Ticks, TimeMs, Transfer, Trigger, TriggerSource, TriggerWhen, VenueId, Withdraw,
};

use crate::entry::Client;
use crate::exchange::{ALICE, BOB, Exchange, MARKET, alice, bob, order, request};
use crate::schema::Document;
use crate::sessions::{in_an_hour, login};
use crate::trees;

/// A connection on which everything is held against the document.
struct Asking<'a> {
    exchange: &'a Exchange,
    document: Document,
    client: Client,
    answered: BTreeSet<String>,
    refused: BTreeSet<String>,
    /// Subscriptions by their numbers, as long as they have told nothing.
    silent: Vec<(Value, String)>,
}

impl Asking<'_> {
    /// The next message, if it is an answer; one of a subscription is looked at.
    async fn receive(&mut self) -> Option<Value> {
        let message = self.client.receive_json().await;
        if message.get("method").is_none() {
            return Some(message);
        }
        let subscription = &message["params"]["subscription"];
        if let Some(told) = self.silent.iter().position(|(number, _)| number == subscription) {
            let (_, name) = self.silent.swap_remove(told);
            assert!(message["params"].get("error").is_none(), "{name} ended: {message}");
            let topic = name.strip_prefix("xos_subscribe").unwrap();
            let (first, rest) = topic.split_at(1);
            assert_eq!(message["method"], format!("xos_{}{rest}Update", first.to_lowercase()));
            self.document.fits(
                &name,
                &self.document.method(&name)["x-message"]["schema"],
                &message["params"]["result"],
            );
        }
        None
    }

    /// The next message that is an answer.
    async fn answer(&mut self) -> Value {
        loop {
            if let Some(answer) = self.receive().await {
                return answer;
            }
        }
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.client.send(json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()).await;
        let answer = self.answer().await;
        // A subscription is accepted where its messages go, which have none.
        if !method.starts_with("xos_subscribe") || answer.get("error").is_some() {
            self.document.fits(method, &json!({ "$ref": "#/components/schemas/Budget" }), &answer["budget"]);
        }
        if let Some(result) = answer.get("result") {
            self.document.result_fits(method, result);
            self.answered.insert(method.to_owned());
            if self.document.method(method).get("x-message").is_some() {
                self.silent.push((result.clone(), method.to_owned()));
            }
        } else {
            let error = &answer["error"];
            let data = error.get("data").unwrap_or(&Value::Null);
            self.document.error_fits(method, error["code"].as_i64().unwrap(), data);
            self.refused.insert(method.to_owned());
        }
        answer
    }

    /// The result of what must be done.
    async fn done(&mut self, method: &str, params: Value) -> Value {
        let mut answer = self.ask(method, params).await;
        assert!(answer.get("result").is_some(), "{method}: {answer}\n{}", self.exchange.log());
        answer["result"].take()
    }

    /// The same, asked again until there are so many in the list.
    async fn listed(&mut self, method: &str, params: Value, least: usize) -> Vec<Value> {
        let begun = std::time::Instant::now();
        loop {
            let list = self.done(method, params.clone()).await;
            let list = list.as_array().unwrap();
            if list.len() >= least {
                return list.clone();
            }
            assert!(begun.elapsed() < crate::exchange::LONG, "{method} lists only {list:?}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Something of Alice's with her signature.
    fn signed<T: Typed + Copy>(&self, message: T, mut request: Value) -> Value {
        let signature = signature_bytes(&alice().sign_typed(&self.exchange.domain, message).signature);
        request["signature"] = json!(alloy::hex::encode_prefixed(signature));
        request["account"] = json!(ALICE.to_string());
        json!([request])
    }

    fn order(&self, order: Order) -> xos_api::OrderRequest {
        let key = if order.account.0 == ALICE { alice() } else { bob() };
        request(&key, &self.exchange.domain, order)
    }

    async fn subscriptions(&mut self) {
        let topics: Vec<String> =
            self.document.methods().map(|method| method["name"].as_str().unwrap().to_owned()).collect();
        for method in topics.iter().filter(|name| name.starts_with("xos_subscribe")) {
            let params = match method.as_str() {
                "xos_subscribeAccount" => json!([ALICE.to_string()]),
                "xos_subscribeCandles" => json!([MARKET, "1m"]),
                "xos_subscribeBook" | "xos_subscribeOrders" | "xos_subscribeBbo" => json!([MARKET]),
                _ => json!([]),
            };
            self.done(method, params).await;
        }
    }

    async fn trading(&mut self) {
        let buy = |nonce, price| order(ALICE, nonce, Side::Buy, 10, price);
        let placed = self.order(buy(1, 500));
        self.done("xos_placeOrder", json!([placed])).await;
        let list = [self.order(order(BOB, 1, Side::Sell, 4, 400)), self.order(order(BOB, 2, Side::Sell, 4, 0))];
        let outcomes = self.done("xos_placeOrders", json!([list])).await;
        assert!(outcomes[0]["ok"].is_object() && outcomes[1]["error"].is_object(), "{outcomes}");
        let ladder = [buy(2, 300), buy(3, 0), order(ALICE, 4, Side::Buy, 10, 301)];
        let tree = trees::request(&trees::sign(self.exchange, &alice(), &ladder), &ladder, &[]);
        let outcomes = self.done("xos_placeTree", json!([tree])).await;
        assert!(outcomes["orders"][0]["ok"].is_object() && outcomes["orders"][1]["error"].is_object(), "{outcomes}");
        let trigger = Trigger { source: TriggerSource::Mark, when: TriggerWhen::AtOrBelow, price: Ticks(100) };
        let (self_trade, crossing) = (SelfTrade::default(), Crossing::default());
        let plan = Plan { trigger: Some(trigger), ..Plan::default() };
        let stop = PlanRequest { order: self.order(order(ALICE, 5, Side::Sell, 1, 50)), plan, self_trade, crossing };
        self.done("xos_planOrders", json!([[stop]])).await;
        let moved =
            ReplaceRequest { replaces: Nonce(2), order: self.order(buy(6, 302)), wait: None, self_trade, crossing };
        self.done("xos_replaceOrders", json!([[moved]])).await;
        let (account, size) = (AccountId(ALICE), Lots(5));
        let smaller = self.signed(Amend { account, nonce: Nonce(6), size }, json!({ "nonce": "6", "size": "5" }));
        self.done("xos_amendOrders", json!([smaller])).await;
    }

    /// An order does what it was said to do, and is refused as it was said to be.
    async fn trials(&mut self) {
        let tried = |price: u64| {
            let kind = "good_till_cancelled";
            json!([{ "account": BOB.to_string(), "market": MARKET, "side": "sell", "kind": kind, "size": "4", "price": price }])
        };
        let trial = self.done("xos_simulateOrder", tried(450)).await;
        assert_eq!((&trial["filled"], &trial["rests"], &trial["notional"]), (&json!("4"), &json!("0"), &json!("2000")));
        let placed = self.order(order(BOB, 30, Side::Sell, 4, 450));
        self.done("xos_placeOrder", json!([placed])).await;
        assert_eq!(trial["margin"], self.done("xos_margin", json!([BOB.to_string()])).await);
        let refused = self.ask("xos_simulateOrder", tried(0)).await;
        assert_eq!(refused["error"]["data"]["name"], json!(Code::BadPrice), "{refused}");
        assert_eq!(refused["error"]["data"]["nearest"], json!(["1"]), "{refused}");
    }

    async fn questions(&mut self) {
        let (account, market) = (ALICE.to_string(), json!(MARKET));
        for method in
            ["xos_health", "xos_ready", "xos_info", "xos_stateHash", "xos_indexMarkets", "xos_venues", "rpc.discover"]
        {
            self.done(method, json!([])).await;
        }
        for method in ["xos_account", "xos_holdings", "xos_margin", "xos_budget"] {
            self.done(method, json!([account])).await;
        }
        for (method, params) in [
            ("xos_events", json!([])),
            ("xos_markets", json!([])),
            ("xos_trades", json!([market])),
            ("xos_tradeHistory", json!([market])),
            ("xos_accountsOf", json!([alice().address()])),
            ("xos_openOrders", json!([account])),
            ("xos_plannedOrders", json!([account])),
            ("xos_orderHistory", json!([account])),
            ("xos_fills", json!([account])),
            ("xos_candles", json!([market, "1m", "0"])),
            ("xos_batches", json!([1])),
            ("xos_transfers", json!([account])),
        ] {
            self.listed(method, params, 1).await;
        }
        for method in ["xos_funding", "xos_liquidations"] {
            self.done(method, json!([account])).await;
        }
        let account_info = self.done("xos_account", json!([account])).await;
        assert_eq!(account_info["limits"]["orders"]["limit"], 10_000);
        assert_eq!(account_info["limits"]["waiting"], json!({ "used": 1, "limit": 200 }));
        let book = self.done("xos_book", json!([market])).await;
        assert!(!book["bids"].as_array().unwrap().is_empty());
        for (nonce, status) in [("1", "resting"), ("5", "waiting"), ("99", "unknown")] {
            assert_eq!(self.done("xos_order", json!([account, nonce])).await["status"], status);
        }
    }

    /// A fill is followed until its batch is on chain for good.
    async fn settlement(&mut self) {
        let fills = self.listed("xos_fills", json!([ALICE.to_string()]), 1).await;
        let sequence = &fills[0]["sequence"];
        let begun = std::time::Instant::now();
        let mut stages = vec![json!("open")];
        let settled = loop {
            let status = self.done("xos_settlement", json!([sequence])).await;
            assert_eq!(status["sequence"], *sequence);
            assert_eq!(status["stage"] == "open", status["frame"].is_null(), "{status}");
            if stages.last() != Some(&status["stage"]) {
                stages.push(status["stage"].clone());
            }
            if !status["batch"].is_null() {
                break status;
            }
            assert!(begun.elapsed() < crate::exchange::LONG, "{status}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        };
        let order = [json!("open"), json!("sealed"), json!("settled"), json!("final")];
        let places: Vec<_> = stages.iter().map(|stage| order.iter().position(|known| known == stage)).collect();
        assert!(places.is_sorted() && places.iter().all(Option::is_some), "{stages:?}");
        assert_eq!(settled["frame"]["id"], settled["batch"]["id"]);
        let batch: u64 = settled["batch"]["id"].as_str().unwrap().parse().unwrap();
        assert_eq!(self.done("xos_batches", json!([batch, 1])).await[0], settled["batch"]);
        let on_chain = self.exchange.chain.batches(batch).await.unwrap();
        assert_eq!(json!(on_chain[0].transaction), settled["batch"]["transaction"], "{on_chain:?}");

        // Until nothing can take it back.
        self.exchange.anvil.mine(70).await;
        let begun = std::time::Instant::now();
        let last = loop {
            let status = self.done("xos_settlement", json!([sequence])).await;
            if status["stage"] == "final" {
                break status;
            }
            assert!(begun.elapsed() < crate::exchange::LONG, "{status}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        assert_eq!((&last["frame"], &last["batch"]), (&settled["frame"], &settled["batch"]));

        for unknown in ["0", "18446744073709551615"] {
            let answer = self.ask("xos_settlement", json!([unknown])).await;
            assert_eq!(answer["error"]["data"]["field"], "sequence", "{answer}");
        }
    }

    async fn cancellations(&mut self) {
        let account = AccountId(ALICE);
        let cancel = |nonce: u64| (Cancel { account, nonce: Nonce(nonce) }, json!({ "nonce": nonce.to_string() }));
        let (message, first) = cancel(1);
        self.done("xos_cancel", self.signed(message, first)).await;
        let (message, fourth) = cancel(4);
        self.done("xos_cancelOrders", json!([self.signed(message, fourth)])).await;
        let (venue, sides, nonce) = (VenueId(1), Sides::Buy, Nonce(7));
        let many = CancelMany { account, venue, market: MARKET, sides, nonce };
        let many = self.signed(many, json!({ "venue": 1, "market": MARKET, "sides": "buy", "nonce": "7" }));
        self.done("xos_cancelMany", many).await;
        let after = CancelAfter { account, time: TimeMs(0), nonce: Nonce(8) };
        self.done("xos_cancelAfter", self.signed(after, json!({ "time": "0", "nonce": "8" }))).await;
        let all = CancelAll { account, below: Nonce(9) };
        self.done("xos_cancelAll", self.signed(all, json!({ "below": "9" }))).await;
    }

    async fn money_and_sessions(&mut self) {
        let (account, token) = (AccountId(ALICE), self.exchange.deployment.token);
        let (expiry, nonce) = (TimeMs(0), Nonce(20));
        let withdraw = Withdraw { account, token, amount: 1_000, nonce, expiry };
        let asked = self.signed(withdraw, json!({ "token": token, "amount": "1000", "nonce": "20" }));
        self.done("xos_withdraw", asked).await;
        let to = account.isolated(MARKET);
        let transfer =
            Transfer { account, gateway: Default::default(), to, token, amount: 1_000, nonce: Nonce(21), expiry };
        let asked = self.signed(transfer, json!({ "to": to, "token": token, "amount": "1000", "nonce": "21" }));
        self.done("xos_transfer", asked).await;
        // The newest first: the frame's batch pays withdrawals before it moves transfers.
        let moved = self.listed("xos_transfers", json!([account]), 3).await;
        let told = |record: &Value| ["kind", "amount", "nonce", "other"].map(|field| record[field].clone());
        let sent = [json!("sent"), json!("1000"), json!("21"), json!(to)];
        assert_eq!(
            moved[..2].iter().map(told).collect::<Vec<_>>(),
            [sent, [json!("withdrawal"), json!("1000"), json!("20"), Value::Null]]
        );
        assert!(moved[..2].iter().all(|record| record["token"] == json!(token) && record["batch"] != "0"), "{moved:?}");
        assert_eq!(moved.last().unwrap()["kind"], "deposit");
        let received = self.listed("xos_transfers", json!([to]), 1).await;
        assert_eq!((&received[0]["kind"], &received[0]["other"]), (&json!("received"), &json!(account)));
        let challenge = self.done("xos_challenge", json!([])).await.as_str().unwrap().parse().unwrap();
        let asked = login(self.exchange, &alice(), ALICE, in_an_hour(), challenge, false);
        self.done("xos_login", asked).await;
        assert_eq!(self.done("xos_logout", json!([ALICE.to_string()])).await, true);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_node_answers_is_what_its_document_says() {
    let exchange = Exchange::open().await;
    let (document, client) = (Document::of(&exchange.client).await, Client::connect(&exchange).await);
    let (answered, refused) = (BTreeSet::new(), BTreeSet::new());
    let mut asking = Asking { exchange: &exchange, document, client, answered, refused, silent: Vec::new() };
    asking.subscriptions().await;
    asking.trading().await;
    asking.trials().await;
    asking.questions().await;
    asking.settlement().await;
    asking.cancellations().await;
    asking.money_and_sessions().await;
    // Nothing here has an index price: what keepers ask for is refused, and three feeds begin with nothing in them.
    let quiet = ["xos_subscribePrices", "xos_subscribeFunding", "xos_subscribeLiquidations"];
    while asking.silent.iter().any(|(_, name)| !quiet.contains(&name.as_str())) {
        asking.receive().await;
    }
    let names: BTreeSet<String> =
        asking.document.methods().map(|method| method["name"].as_str().unwrap().to_owned()).collect();
    let unanswered: Vec<&String> = names.difference(&asking.answered).collect();
    assert_eq!(unanswered, ["xos_convert", "xos_liquidate"]);

    // Whatever takes parameters is asked for what cannot be.
    for name in &names {
        let params = asking.document.method(name)["params"].as_array().unwrap().clone();
        if !params.is_empty() {
            let answer = asking.ask(name, json!({ params[0]["name"].as_str().unwrap(): { "none": 1 } })).await;
            assert_eq!(answer["error"]["code"], -32602, "{name}: {answer}");
        }
    }
    let order = asking.order(order(BOB, 1, Side::Sell, 1, 400));
    let answer = asking.ask("xos_placeOrder", json!([order])).await;
    assert_eq!(answer["error"]["data"]["name"], json!(Code::NonceSpent), "{answer}");
    let unknown = r#"{"jsonrpc":"2.0","id":1,"method":"xos_x"}"#;
    for (message, code) in [("{", -32700), ("[1", -32700), ("7", -32600), ("{}", -32600), (unknown, -32601)] {
        asking.client.send(message).await;
        let answer = asking.answer().await;
        assert_eq!(answer["error"]["code"], code, "{answer}");
        asking.document.error_fits(message, code, answer["error"].get("data").unwrap_or(&Value::Null));
    }
}
