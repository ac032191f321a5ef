//! Every malformed request gets a stable code, and data that says what was wrong and what was expected.

use std::collections::BTreeSet;

use jsonrpsee::core::ClientError;
use jsonrpsee::core::client::ClientT;
use jsonrpsee::core::params::ArrayParams;
use serde_json::{Value, json};
use xos_api::{Code, EventStatus, OrderRequest, WithdrawRequest, XosApiClient};
use xos_auth::{Domain, Key, signature_bytes};
use xos_chain::At;
use xos_types::{AccountId, EventId, MarketId, Order, OrderKind, Phase, Ppm, Side, TimeMs, Withdraw};

use crate::exchange::{ALICE, BOB, Exchange, MARKET, alice, bob, order, place, request};
use crate::schema::Document;

const INVALID_PARAMS: i32 = -32602;

struct Table<'a> {
    exchange: &'a Exchange,
    document: Document,
    /// Codes that were provoked.
    seen: BTreeSet<i32>,
}

impl Table<'_> {
    /// Sends it as it is, and answers the error's data with its message added.
    async fn refused(&mut self, method: &str, params: &[Value], code: i32) -> Value {
        let mut list = ArrayParams::new();
        for param in params {
            list.insert(param).unwrap();
        }
        let answer: Result<Value, ClientError> = self.exchange.client.request(method, list).await;
        let error = match answer {
            Err(ClientError::Call(error)) => error,
            other => panic!("{method} {params:?} answered {other:?}"),
        };
        assert_eq!(error.code(), code, "{method} {params:?}: {error:?}");
        self.seen.insert(code);
        let mut data: Value = serde_json::from_str(error.data().expect("every error has data").get()).unwrap();
        self.document.error_fits(method, code.into(), &data);
        assert!(!error.message().is_empty() && error.message().lines().count() == 1);
        data["message"] = json!(error.message());
        data
    }

    async fn refused_as(&mut self, code: Code, method: &str, params: &[Value]) -> Value {
        let data = self.refused(method, params, code as i32).await;
        assert_eq!(data["name"], json!(code), "the code's name is in the data");
        data
    }

    async fn refused_order(&mut self, code: Code, key: &Key, order: Order) -> Value {
        let request = request(key, &self.exchange.domain, order);
        self.refused_as(code, "xos_placeOrder", &[json!(request)]).await
    }
}

/// A good order of Alice's, as JSON, with one field replaced or removed.
fn altered(exchange: &Exchange, field: &str, value: Option<Value>) -> Value {
    let mut request = json!(request(&alice(), &exchange.domain, order(ALICE, 1, Side::Buy, 10, 400)));
    let fields = request.as_object_mut().unwrap();
    match value {
        Some(value) => fields.insert(field.into(), value),
        None => fields.remove(field),
    };
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_request_is_answered_with_its_code_and_what_was_expected() {
    let exchange = Exchange::open().await;
    let mut table =
        Table { exchange: &exchange, document: Document::of(&exchange.client).await, seen: BTreeSet::new() };
    malformed_parameters_name_the_field(&mut table).await;
    bad_signatures_show_what_was_signed(&mut table).await;
    unknown_things_are_named(&mut table).await;
    bad_numbers_come_with_the_nearest_good_ones(&mut table).await;
    money_is_explained_to_the_atom(&mut table).await;
    what_the_book_does_not_allow(&mut table).await;
    lists_say_what_became_of_each(&mut table).await;
    a_stopped_market_says_how_far(&mut table).await;
    after_the_event_nothing_trades(&mut table).await;

    // The others are those of a node that is overloaded, stopping or a standby, of subscriptions, of budgets, and of limits that take 10,000
    // orders to reach.
    let elsewhere = [
        Code::LimitReached,
        Code::NotKept,
        Code::OverBudget,
        Code::Overloaded,
        Code::Unavailable,
        Code::DiskFull,
        Code::Stopping,
        Code::Standby,
    ];
    for code in Code::ALL.into_iter().filter(|code| !elsewhere.contains(code)) {
        assert!(table.seen.contains(&(code as i32)), "{code:?} was provoked");
    }
}

async fn malformed_parameters_name_the_field(table: &mut Table<'_>) {
    let exchange = table.exchange;
    for (field, value, expected) in [
        ("nonce", None, "missing field `nonce`"),
        ("price", Some(json!("4.5")), "a whole number"),
        ("price", Some(json!(-1)), "a whole number"),
        ("size", Some(json!(1.5)), "a whole number"),
        ("account", Some(json!({})), "a whole number"),
        ("account", Some(json!("18446744073709551616")), "a whole number"),
        ("market", Some(json!("x")), "a whole number"),
        ("side", Some(json!("hold")), "expected `buy` or `sell`"),
        ("kind", Some(json!("stop")), "expected one of"),
        ("signature", Some(json!("0xzz")), "signature"),
        ("leverage", Some(json!(10)), "unknown field `leverage`"),
    ] {
        let order = altered(exchange, field, value);
        let data = table.refused("xos_placeOrder", &[order], INVALID_PARAMS).await;
        assert_eq!(data["field"], json!(format!("order.{field}")), "{data}");
        assert!(data["message"].as_str().unwrap().contains(expected) || expected == "signature", "{data}");
    }
    let data = table.refused("xos_book", &[], INVALID_PARAMS).await;
    assert_eq!((&data["field"], &data["problem"]), (&json!("market"), &json!("missing")));
    let many = altered(exchange, "price", Some(json!("x")));
    let data = table.refused("xos_placeOrders", &[json!([many])], INVALID_PARAMS).await;
    assert_eq!(data["field"], "orders[0].price");
    for (method, params, field) in [
        ("xos_book", vec![json!(256), json!(0)], "depth"),
        ("xos_trades", vec![json!(256), json!(5_000)], "limit"),
        ("xos_placeOrders", vec![json!([])], "orders"),
    ] {
        let data = table.refused_as(Code::InvalidRequest, method, &params).await;
        assert_eq!(data["field"], field, "{data}");
        assert!(data["expected"].as_str().unwrap().contains("1 to "), "{data}");
    }
}

async fn bad_signatures_show_what_was_signed(table: &mut Table<'_>) {
    let exchange = table.exchange;
    let message = order(ALICE, 1, Side::Buy, 10, 400);
    let good = request(&alice(), &exchange.domain, message);
    let check = |data: &Value| {
        let expected = json!({
            "name": "Exchange OS",
            "version": "1",
            "chainId": 31_337,
            "verifyingContract": exchange.domain.group(),
        });
        assert_eq!(data["domain"], expected);
        assert_eq!(data["structHash"], json!(exchange.domain.struct_hash(&message)));
        assert_eq!(data["digest"], json!(exchange.domain.digest(&message)));
        assert!(data["type"].as_str().unwrap().starts_with("Order(uint64 account,"));
        assert_eq!(data["expected"], json!([alice().address()]));
    };
    let mut twin = signature_bytes(&alice().sign_typed(&exchange.domain, message).signature).to_vec();
    twin.push(27);
    for (signature, problem) in [
        (vec![1; 10], "has 10 bytes; expected 64"),
        (vec![0; 64], "zero or not below the curve order"),
        (twin[..64].iter().copied().chain([9]).collect(), "expected 27 or 28"),
    ] {
        let forged = OrderRequest { signature: signature.into(), ..good.clone() };
        let data = table.refused_as(Code::BadSignature, "xos_placeOrder", &[json!(forged)]).await;
        check(&data);
        assert_eq!(data["recovered"], Value::Null);
        assert!(data["problem"].as_str().unwrap().contains(problem), "{data}");
    }
    // Somebody else's key, and the right key for another chain.
    let data = table.refused_order(Code::BadSignature, &bob(), message).await;
    check(&data);
    assert_eq!(data["recovered"], json!(bob().address()));
    let elsewhere = Domain::new(1, exchange.domain.group());
    let foreign = request(&alice(), &elsewhere, message);
    let data = table.refused_as(Code::BadSignature, "xos_placeOrder", &[json!(foreign)]).await;
    check(&data);
    assert_ne!(data["recovered"], json!(alice().address()));
}

async fn unknown_things_are_named(table: &mut Table<'_>) {
    let exchange = table.exchange;
    let data = table.refused_order(Code::UnknownAccount, &alice(), order(99, 1, Side::Buy, 10, 400)).await;
    assert_eq!(data["account"], "99");
    for method in ["xos_account", "xos_openOrders"] {
        table.refused_as(Code::UnknownAccount, method, &[json!("99")]).await;
    }
    for market in [MarketId(0), MarketId::new(EventId(9), 0), MarketId::new(EventId(1), 3)] {
        let wrong = Order { market, ..order(ALICE, 1, Side::Buy, 10, 400) };
        let data = table.refused_order(Code::UnknownMarket, &alice(), wrong).await;
        assert_eq!(data["market"], json!(market));
        for method in ["xos_book", "xos_trades"] {
            table.refused_as(Code::UnknownMarket, method, &[json!(market)]).await;
        }
    }
    table.refused_as(Code::UnknownMarket, "xos_markets", &[json!(77)]).await;
    let token = exchange.domain.group();
    let withdraw = Withdraw { token, ..withdrawal(exchange, 1) };
    let data = table.refused_as(Code::UnknownToken, "xos_withdraw", &[withdraw_request(exchange, withdraw)]).await;
    assert_eq!((&data["token"], &data["expected"]), (&json!(token), &json!(exchange.chain.deployment().token)));
    let data = table
        .refused_as(Code::InvalidRequest, "xos_withdraw", &[withdraw_request(exchange, withdrawal(exchange, 0))])
        .await;
    assert_eq!(data["field"], "amount");
    let message = xos_types::Cancel { account: AccountId(ALICE), nonce: xos_types::Nonce(5) };
    let signature = signature_bytes(&alice().sign_typed(&exchange.domain, message).signature);
    let cancel = json!({ "account": "3", "nonce": "5", "signature": alloy::hex::encode_prefixed(signature) });
    let data = table.refused_as(Code::UnknownOrder, "xos_cancel", &[cancel]).await;
    assert_eq!(data["nonce"], "5");
    let unsigned = json!({ "account": "3", "nonce": "5" });
    let data = table.refused_as(Code::NoSession, "xos_cancel", &[unsigned]).await;
    assert!(data["message"].as_str().unwrap().contains("WebSocket"), "{data}");
}

async fn bad_numbers_come_with_the_nearest_good_ones(table: &mut Table<'_>) {
    let good = order(ALICE, 1, Side::Buy, 10, 400);
    for (price, nearest, decimal) in [(0, "1", "0.001"), (1_000, "999", "0.999"), (u64::MAX, "999", "0.999")] {
        let data = table.refused_order(Code::BadPrice, &alice(), order(ALICE, 1, Side::Buy, 10, price)).await;
        assert_eq!((&data["nearest"], &data["nearestDecimal"]), (&json!([nearest]), &json!([decimal])), "{data}");
        assert_eq!(
            (&data["lowest"], &data["highest"], &data["tickSize"]),
            (&json!("1"), &json!("999"), &json!("0.001"))
        );
    }
    for size in [0, u64::MAX] {
        let data = table.refused_order(Code::BadSize, &alice(), order(ALICE, 1, Side::Buy, size, 400)).await;
        assert_eq!((&data["smallest"], &data["lotSize"]), (&json!("1"), &json!("0.01")), "{data}");
        assert!(data["largest"].as_str().unwrap().parse::<u64>().unwrap() > 1_000_000);
    }
    let data = table.refused_order(Code::Expired, &alice(), Order { expiry: TimeMs(1), ..good }).await;
    assert!(data["time"].as_str().unwrap().parse::<u64>().unwrap() > 1_600_000_000_000, "{data}");
    let data = table.refused_order(Code::FeeTooLow, &alice(), Order { max_fee: Ppm(999), ..good }).await;
    assert_eq!((&data["maxFee"], &data["required"]), (&json!(999), &json!(1_000)));
    for (wrong, field) in
        [(Order { builder: 7, ..good }, "builder"), (Order { builder_fee: Ppm(1), ..good }, "builderFee")]
    {
        let data = table.refused_order(Code::Unsupported, &alice(), wrong).await;
        assert_eq!(data["field"], field);
    }
}

async fn money_is_explained_to_the_atom(table: &mut Table<'_>) {
    let exchange = table.exchange;
    // 1,000 lots at 500 ticks of 10 atoms reserve 5 tokens and the fee of 1 in 1,000 that a taker would pay.
    place(exchange, &alice(), order(ALICE, 10, Side::Buy, 1_000, 500)).await;
    let before = exchange.client.account(AccountId(ALICE)).await.unwrap();
    let data =
        table.refused_order(Code::InsufficientFunds, &alice(), order(ALICE, 11, Side::Buy, 1_000_000, 400)).await;
    assert_eq!(data["cash"], "1000000000");
    assert_eq!(data["reserved"], json!(before.reserved.to_string()));
    assert!(before.reserved.0 >= 5_000_000, "{before:?}");
    assert_eq!(data["available"], json!(before.available.to_string()));
    assert_eq!(data["required"], "4004000000");
    assert_eq!(data["decimals"]["required"], "4004");
    assert_eq!(data["decimals"]["cash"], "1000");
    let all = withdrawal(exchange, 1_000_000_000);
    let data = table.refused_as(Code::InsufficientFunds, "xos_withdraw", &[withdraw_request(exchange, all)]).await;
    assert_eq!(data["decimals"]["required"], "1000");
    assert_eq!(exchange.client.account(AccountId(ALICE)).await.unwrap(), before, "a refusal changes nothing");
}

async fn what_the_book_does_not_allow(table: &mut Table<'_>) {
    // Alice bids 1,000 lots at 500.
    let data = table.refused_order(Code::NonceSpent, &alice(), order(ALICE, 10, Side::Buy, 10, 400)).await;
    assert_eq!((&data["nonce"], &data["next"]), (&json!("10"), &json!("11")));
    let crossing = order(BOB, 1, Side::Sell, 10, 450);
    let data = table.refused_order(Code::WouldTrade, &bob(), Order { kind: OrderKind::PostOnly, ..crossing }).await;
    assert_eq!(
        (&data["best"], &data["bestDecimal"], &data["priceDecimal"]),
        (&json!("500"), &json!("0.5"), &json!("0.45"))
    );
    let large = Order { kind: OrderKind::FillOrKill, ..order(BOB, 1, Side::Sell, 5_000, 450) };
    let data = table.refused_order(Code::NotFillable, &bob(), large).await;
    assert_eq!((&data["size"], &data["fillable"]), (&json!("5000"), &json!("1000")));
}

async fn lists_say_what_became_of_each(table: &mut Table<'_>) {
    let exchange = table.exchange;
    let sign = |order: Order| json!(request(&bob(), &exchange.domain, order));
    let mut unsigned = sign(order(BOB, 21, Side::Sell, 1, 700));
    unsigned["signature"] = json!("0x");
    let list = [
        sign(order(BOB, 20, Side::Sell, 1, 700)),
        unsigned,
        sign(order(BOB, 22, Side::Sell, 1, 0)),
        sign(order(BOB, 23, Side::Sell, 1, 700)),
    ];
    let mut params = ArrayParams::new();
    params.insert(list).unwrap();
    let outcomes: Vec<Value> = exchange.client.request("xos_placeOrders", params).await.unwrap();
    assert!(outcomes[0]["ok"].is_object() && outcomes[3]["ok"].is_object(), "{outcomes:?}");
    assert_eq!((&outcomes[1]["error"]["code"], &outcomes[1]["error"]["name"]), (&json!(1001), &json!("bad_signature")));
    assert_eq!(
        (&outcomes[2]["error"]["code"], &outcomes[2]["error"]["data"]["nearest"]),
        (&json!(1005), &json!(["1"]))
    );
    let sequence = |outcome: &Value| outcome["ok"]["receipt"]["sequence"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(sequence(&outcomes[0]) < sequence(&outcomes[3]), "a list keeps its order");
    let too_many: Vec<Value> = vec![sign(order(BOB, 30, Side::Sell, 1, 700)); 201];
    let data = table.refused_as(Code::InvalidRequest, "xos_placeOrders", &[json!(too_many)]).await;
    assert_eq!(data["expected"], "a list of 1 to 200");
}

async fn a_stopped_market_says_how_far(table: &mut Table<'_>) {
    let exchange = table.exchange;
    let house = exchange.chain.wallet(crate::exchange::key(2));
    let is = async |exchange: &Exchange, status| exchange.client.events().await.unwrap()[0].status == status;
    let order = order(ALICE, 40, Side::Buy, 10, 400);

    house.set_phase(EventId(1), Phase::ReduceOnly).await.unwrap();
    exchange.until("the market only reduces", async |exchange| is(exchange, EventStatus::ReduceOnly).await).await;
    let data = table.refused_order(Code::OnlyReducing, &alice(), order).await;
    assert_eq!((&data["market"], &data["position"], &data["reducible"]), (&json!(MARKET), &json!("0"), &json!("0")));
    assert_eq!(data["why"], "phase");

    house.set_phase(EventId(1), Phase::Halted).await.unwrap();
    exchange.until("the market is halted", async |exchange| is(exchange, EventStatus::Halted).await).await;
    let data = table.refused_order(Code::MarketClosed, &alice(), order).await;
    assert_eq!(data["status"], "halted");
}

async fn after_the_event_nothing_trades(table: &mut Table<'_>) {
    let exchange = table.exchange;
    exchange.chain.wallet(crate::exchange::key(2)).resolve_event(EventId(1), &[0, 1_000, 0]).await.unwrap();
    exchange
        .until("the event is resolved", async |exchange| exchange.client.events().await.unwrap()[0].payouts.is_some())
        .await;
    let data = table.refused_order(Code::MarketClosed, &alice(), order(ALICE, 50, Side::Buy, 10, 400)).await;
    assert_eq!((&data["market"], &data["event"]), (&json!(MARKET), &json!(1)));
    exchange.until_settled(1).await;
    assert!(exchange.chain.last_batch(At::Latest).await.unwrap().id > 0);
}

fn withdrawal(exchange: &Exchange, amount: u128) -> Withdraw {
    Withdraw {
        account: AccountId(ALICE),
        token: exchange.chain.deployment().token,
        amount,
        nonce: xos_types::Nonce(1_000),
        expiry: TimeMs(0),
    }
}

fn withdraw_request(exchange: &Exchange, message: Withdraw) -> Value {
    let signature = signature_bytes(&alice().sign_typed(&exchange.domain, message).signature);
    json!(WithdrawRequest {
        account: message.account,
        token: message.token,
        amount: message.amount,
        nonce: message.nonce,
        expiry: message.expiry,
        signature: signature.into(),
    })
}
