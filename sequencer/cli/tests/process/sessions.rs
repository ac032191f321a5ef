//! Sessions on the real node: one signature, then cancellations without; what ends them; and orders that go with their
//! connection.

use serde_json::{Value, json};
use xos_api::{Budget, Code, Entry, EntryAnswer, XosApiClient};
use xos_auth::{Key, signature_bytes};
use xos_types::{AccountId, B256, Cancel, CancelAll, Nonce, Scope, Session, Side, TimeMs};

use crate::entry::Client;
use crate::exchange::{ALICE, BOB, Exchange, alice, bob, order, place};

/// The hour from now on, by the machine's clock.
pub(crate) fn in_an_hour() -> TimeMs {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    TimeMs(u64::try_from(now.as_millis()).unwrap() + 3_600_000)
}

async fn call(client: &mut Client, method: &str, params: Value) -> Value {
    client.send(json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string()).await;
    client.receive_json().await
}

async fn challenge(client: &mut Client) -> B256 {
    call(client, "xos_challenge", json!([])).await["result"].as_str().unwrap().parse().unwrap()
}

/// What logs `account` in, signed by `key` for that challenge.
pub(crate) fn login(
    exchange: &Exchange,
    key: &Key,
    account: u64,
    expiry: TimeMs,
    challenge: B256,
    at_end: bool,
) -> Value {
    let message = Session { account: AccountId(account), scope: Scope::Cancel, expiry, challenge: challenge.0 };
    let signature = signature_bytes(&key.sign_typed(&exchange.domain, message).signature);
    json!([{
        "account": account.to_string(), "scope": "cancel", "expiry": expiry.to_string(), "challenge": challenge,
        "cancelOnDisconnect": at_end, "signature": format!("0x{}", alloy::hex::encode(signature)),
    }])
}

fn code(answer: &Value) -> Option<i64> {
    answer["error"]["code"].as_i64()
}

async fn resting(exchange: &Exchange, account: u64) -> Vec<u64> {
    let open = exchange.client.open_orders(AccountId(account)).await.unwrap();
    open.iter().map(|order| order.nonce.0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_logged_in_cancels_without_signatures() {
    let exchange = Exchange::open().await;
    for nonce in 1..=8 {
        place(&exchange, &alice(), order(ALICE, nonce, Side::Buy, 10, 100 + nonce)).await;
    }
    place(&exchange, &bob(), order(BOB, 1, Side::Sell, 10, 900)).await;
    let mut client = Client::connect(&exchange).await;
    let unsigned = json!([{ "account": ALICE.to_string(), "nonce": "1" }]);
    let before = call(&mut client, "xos_cancel", unsigned.clone()).await;
    assert_eq!(code(&before), Some(Code::NoSession as i64), "{before}");

    let challenge = challenge(&mut client).await;
    let opened =
        call(&mut client, "xos_login", login(&exchange, &alice(), ALICE, in_an_hour(), challenge, false)).await;
    assert_eq!(opened["result"]["signer"], json!(alice().address()), "{opened}");
    let one = call(&mut client, "xos_cancel", unsigned).await;
    assert_eq!(one["result"]["remaining"], "10", "{one}");
    let list =
        json!([[{ "account": ALICE.to_string(), "nonce": "2" }, { "account": ALICE.to_string(), "nonce": "2" }]]);
    let list = call(&mut client, "xos_cancelOrders", list).await;
    assert_eq!(list["result"][0]["ok"]["remaining"], "10", "{list}");
    assert_eq!(list["result"][1]["error"]["name"], "unknown_order", "{list}");
    // In binary, a signature of zeros.
    let cancel = Entry::Cancel(Cancel { account: AccountId(ALICE), nonce: Nonce(3) }, xos_api::BY_SESSION);
    let EntryAnswer::Done { results, budget, .. } = client.ask(vec![cancel]).await else { panic!() };
    assert_eq!((results[0].refused, results[0].remaining.0), (None, 10));
    assert!(matches!(budget, Budget { address: 1.., account: Some(1..) }), "{budget:?}");
    let all = Entry::CancelAll(CancelAll { account: AccountId(ALICE), below: Nonce(6) }, xos_api::BY_SESSION);
    let EntryAnswer::Done { results, .. } = client.ask(vec![all]).await else { panic!() };
    assert_eq!(results[0].remaining.0, 20);
    let bids = json!([{ "account": ALICE.to_string(), "sides": "sell" }]);
    assert_eq!(call(&mut client, "xos_cancelMany", bids).await["result"]["remaining"], "0");
    let switch = json!([{ "account": ALICE.to_string(), "time": in_an_hour().to_string() }]);
    assert!(call(&mut client, "xos_cancelAfter", switch).await["result"].is_object());
    assert_eq!(resting(&exchange, ALICE).await, [6, 7, 8]);

    // Neither for another account, nor an order, nor on another connection.
    let bobs = call(&mut client, "xos_cancel", json!([{ "account": BOB.to_string(), "nonce": "1" }])).await;
    assert_eq!(code(&bobs), Some(Code::NoSession as i64), "{bobs}");
    let bobs = Entry::Cancel(Cancel { account: AccountId(BOB), nonce: Nonce(1) }, xos_api::BY_SESSION);
    let EntryAnswer::Refused { code: refused, .. } = client.ask(vec![bobs]).await else { panic!() };
    assert_eq!(refused, Code::NoSession);
    let mut other = Client::connect(&exchange).await;
    let sixth = json!([{ "account": ALICE.to_string(), "nonce": "6" }]);
    assert_eq!(code(&call(&mut other, "xos_cancel", sixth.clone()).await), Some(Code::NoSession as i64));
    let replayed =
        call(&mut other, "xos_login", login(&exchange, &alice(), ALICE, in_an_hour(), challenge, false)).await;
    assert_eq!(replayed["error"]["data"]["field"], "challenge", "{replayed}");

    // It ends when its client says so.
    assert_eq!(call(&mut client, "xos_logout", json!([ALICE.to_string()])).await["result"], true);
    assert_eq!(call(&mut client, "xos_logout", json!([ALICE.to_string()])).await["result"], false);
    assert_eq!(code(&call(&mut client, "xos_cancel", sixth).await), Some(Code::NoSession as i64));
    assert_eq!(resting(&exchange, ALICE).await, [6, 7, 8]);
    let audit = exchange.audit();
    assert!(
        audit.contains("every session was opened by its signer") && audit.contains("7 commands by 1 logins"),
        "{audit}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_logs_in_whom_the_account_does_not_know_and_a_session_ends_in_time() {
    let exchange = Exchange::open().await;
    place(&exchange, &alice(), order(ALICE, 1, Side::Buy, 10, 100)).await;
    let mut client = Client::connect(&exchange).await;
    let challenge = challenge(&mut client).await;
    let stranger =
        call(&mut client, "xos_login", login(&exchange, &bob(), ALICE, in_an_hour(), challenge, false)).await;
    assert_eq!(code(&stranger), Some(Code::BadSignature as i64), "{stranger}");
    assert_eq!(stranger["error"]["data"]["recovered"], json!(bob().address()));
    let nobody = call(&mut client, "xos_login", login(&exchange, &alice(), 99, in_an_hour(), challenge, false)).await;
    assert_eq!(code(&nobody), Some(Code::UnknownAccount as i64), "{nobody}");
    for past in [0, 1_000] {
        let past =
            call(&mut client, "xos_login", login(&exchange, &alice(), ALICE, TimeMs(past), challenge, false)).await;
        assert_eq!(code(&past), Some(Code::Expired as i64), "{past}");
    }
    let mut altered = login(&exchange, &alice(), ALICE, in_an_hour(), challenge, false);
    altered[0]["expiry"] = json!((in_an_hour().0 + 7).to_string());
    let altered = call(&mut client, "xos_login", altered).await;
    assert_eq!(code(&altered), Some(Code::BadSignature as i64), "{altered}");
    // Over HTTP there is no session.
    let challenge_of_none: Result<B256, _> = exchange.client.challenge().await;
    assert!(challenge_of_none.unwrap_err().to_string().contains("WebSocket"));

    let soon = TimeMs(in_an_hour().0 - 3_600_000 + 1_500);
    let opened = call(&mut client, "xos_login", login(&exchange, &alice(), ALICE, soon, challenge, false)).await;
    assert!(opened["result"].is_object(), "{opened}");
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    let late = call(&mut client, "xos_cancel", json!([{ "account": ALICE.to_string(), "nonce": "1" }])).await;
    assert_eq!(code(&late), Some(Code::Expired as i64), "{late}");
    assert_eq!(resting(&exchange, ALICE).await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_logs_in_and_its_revocation_ends_what_it_opened() {
    let exchange = Exchange::open().await;
    for nonce in 1..=2 {
        place(&exchange, &alice(), order(ALICE, nonce, Side::Buy, 10, 100)).await;
    }
    let agent = crate::exchange::key(77);
    let grant = |expiry| xos_types::SignerGrant {
        signer: agent.address(),
        expiry,
        max_notional: 0,
        trade: true,
        withdraw: false,
        venues: Default::default(),
    };
    let wallet = exchange.chain.wallet(alice());
    wallet.set_signer(AccountId(ALICE), &grant(in_an_hour())).await.unwrap();
    let mut client = Client::connect(&exchange).await;
    let challenge = challenge(&mut client).await;
    let opened = loop {
        let opened =
            call(&mut client, "xos_login", login(&exchange, &agent, ALICE, in_an_hour(), challenge, true)).await;
        if opened["result"].is_object() {
            break opened;
        }
        assert_eq!(code(&opened), Some(Code::BadSignature as i64), "{opened}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(opened["result"]["signer"], json!(agent.address()));
    let first = call(&mut client, "xos_cancel", json!([{ "account": ALICE.to_string(), "nonce": "1" }])).await;
    assert_eq!(first["result"]["remaining"], "10", "{first}");
    wallet.set_signer(AccountId(ALICE), &grant(TimeMs(0))).await.unwrap();
    let second = json!([{ "account": ALICE.to_string(), "nonce": "7" }]);
    exchange
        .until("the revocation counts", async |_| {
            let mut again = Client::connect(&exchange).await;
            let challenge = self::challenge(&mut again).await;
            let request = login(&exchange, &agent, ALICE, in_an_hour(), challenge, false);
            code(&call(&mut again, "xos_login", request).await) == Some(Code::BadSignature as i64)
        })
        .await;
    let refused = call(&mut client, "xos_cancel", second).await;
    assert_eq!(code(&refused), Some(Code::BadSignature as i64), "{refused}");
    // Nor does the end of its connection cancel anything any more.
    drop(client);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(resting(&exchange, ALICE).await, [2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_go_with_a_connection_that_asked_for_it_and_with_no_other() {
    let mut exchange = Exchange::open().await;
    for nonce in 1..=3 {
        place(&exchange, &alice(), order(ALICE, nonce, Side::Buy, 10, 100 + nonce)).await;
    }
    place(&exchange, &bob(), order(BOB, 1, Side::Sell, 10, 900)).await;

    // One that did not ask for it; one that asked and logged out.
    for (at_end, logs_out) in [(false, false), (true, true)] {
        let mut client = Client::connect(&exchange).await;
        let challenge = challenge(&mut client).await;
        let opened = call(&mut client, "xos_login", login(&exchange, &alice(), ALICE, in_an_hour(), challenge, at_end));
        assert_eq!(opened.await["result"]["cancelOnDisconnect"], at_end);
        if logs_out {
            call(&mut client, "xos_logout", json!([ALICE.to_string()])).await;
        }
    }
    // A client that dies in the middle of placing orders: its socket is closed without a word, as the kernel does.
    let mut client = Client::connect(&exchange).await;
    let challenge = challenge(&mut client).await;
    let request = login(&exchange, &alice(), ALICE, in_an_hour(), challenge, true);
    assert!(call(&mut client, "xos_login", request).await["result"].is_object());
    assert_eq!(resting(&exchange, ALICE).await, [1, 2, 3]);
    for nonce in 4..=20 {
        let late = crate::entry::place(&exchange, &alice(), order(ALICE, nonce, Side::Buy, 10, 50));
        client.send(xos_api::EntryRequest { tag: 1, entries: vec![late] }.encode()).await;
    }
    drop(client);
    exchange.until("its orders are gone", async |exchange| resting(exchange, ALICE).await.is_empty()).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(resting(&exchange, ALICE).await, [0_u64; 0], "and those that were on their way");
    assert_eq!(resting(&exchange, BOB).await, [1], "and nobody else's");

    // A node that dies cancels nothing.
    place(&exchange, &alice(), order(ALICE, 100, Side::Buy, 10, 100)).await;
    let mut client = Client::connect(&exchange).await;
    let challenge = self::challenge(&mut client).await;
    let request = login(&exchange, &alice(), ALICE, in_an_hour(), challenge, true);
    assert!(call(&mut client, "xos_login", request).await["result"].is_object());
    exchange.kill_node();
    exchange.start_node().await;
    assert_eq!(resting(&exchange, ALICE).await, [100]);
    exchange.audit();
}
