//! Orders beyond the plain one, through a real node: planned, replaced, made smaller, cancelled many at a time.

use std::time::{SystemTime, UNIX_EPOCH};

use xos_api::{
    AmendRequest, CancelAfterRequest, CancelManyRequest, Code, OrderOutcome, OrderRequest, OrderState, OrderStatus,
    PlanRequest, PlannedOrder, ReplaceRequest, Wait, WaitsFor, XosApiClient,
};
use xos_auth::{Key, signature_bytes};
use xos_types::{
    AccountId, Amend, CancelAfter, CancelMany, Crossing, Lots, MarketId, Nonce, Order, OrderKind, Pace, Plan,
    SelfTrade, Side, Sides, Ticks, TimeMs, Trigger, TriggerSource, TriggerWhen, VenueId,
};

use crate::exchange::{ALICE, BOB, Exchange, MARKET, alice, bob, order, place, request, text};

const ACCOUNT: AccountId = AccountId(ALICE);

fn below(price: u64) -> Trigger {
    Trigger { source: TriggerSource::Mark, when: TriggerWhen::AtOrBelow, price: Ticks(price) }
}

fn plan(plan: Plan, order: OrderRequest) -> PlanRequest {
    PlanRequest { order, plan, self_trade: SelfTrade::default(), crossing: Crossing::default() }
}

fn replacement(replaces: u64, wait: Option<Wait>, order: OrderRequest) -> ReplaceRequest {
    ReplaceRequest {
        replaces: Nonce(replaces),
        order,
        wait,
        self_trade: SelfTrade::default(),
        crossing: Crossing::default(),
    }
}

fn codes(outcomes: &[OrderOutcome]) -> Vec<i32> {
    let code = |outcome: &OrderOutcome| match outcome {
        OrderOutcome::Ok(_) => 0,
        OrderOutcome::Error(error) => error.code,
    };
    outcomes.iter().map(code).collect()
}

async fn planned(exchange: &Exchange) -> Vec<PlannedOrder> {
    exchange.client.planned_orders(ACCOUNT).await.unwrap()
}

async fn status(exchange: &Exchange, nonce: u64) -> OrderStatus {
    exchange.client.order(ACCOUNT, Nonce(nonce)).await.unwrap().status
}

impl Exchange {
    fn mine(&self, order: Order) -> OrderRequest {
        request(&alice(), &self.domain, order)
    }

    fn amendment(&self, key: &Key, nonce: u64, size: u64) -> AmendRequest {
        let message = Amend { account: ACCOUNT, nonce: Nonce(nonce), size: Lots(size) };
        let signature = signature_bytes(&key.sign_typed(&self.domain, message).signature).into();
        AmendRequest { account: ACCOUNT, nonce: message.nonce, size: message.size, signature }
    }

    fn cancel_many(&self, venue: u32, market: MarketId, sides: Sides, nonce: u64) -> CancelManyRequest {
        let (venue, nonce) = (VenueId(venue), Nonce(nonce));
        let message = CancelMany { account: ACCOUNT, venue, market, sides, nonce };
        let signature = signature_bytes(&alice().sign_typed(&self.domain, message).signature).into();
        CancelManyRequest { account: ACCOUNT, venue, market, sides, nonce, signature }
    }

    async fn switch(&self, time: u64, nonce: u64) {
        let message = CancelAfter { account: ACCOUNT, time: TimeMs(time), nonce: Nonce(nonce) };
        let signature = signature_bytes(&alice().sign_typed(&self.domain, message).signature).into();
        let request = CancelAfterRequest { account: ACCOUNT, time: message.time, nonce: message.nonce, signature };
        self.client.cancel_after(request).await.unwrap();
    }

    /// Somebody trades a lot at this price: it is the mark where the book allows it.
    async fn trade_at(&self, price: u64, nonce: u64) {
        place(self, &bob(), order(BOB, nonce, Side::Sell, 1, price)).await;
        place(self, &alice(), order(ALICE, 900_000 + nonce, Side::Buy, 1, price)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_wait_are_replaced_made_smaller_and_leave_together() {
    let exchange = Exchange::open().await;
    exchange.trade_at(600, 1).await;

    // A stop, moved twice: another order for the same price, then the same for another price.
    let sell = |nonce, kind| Order { kind, ..order(ALICE, nonce, Side::Sell, 100, 300) };
    let stop = Plan { trigger: Some(below(500)), ..Plan::default() };
    let outcomes = exchange
        .client
        .plan_orders(vec![
            plan(stop, exchange.mine(sell(10, OrderKind::ImmediateOrCancel))),
            plan(
                Plan { trigger: Some(below(0)), ..Plan::default() },
                exchange.mine(sell(11, OrderKind::ImmediateOrCancel)),
            ),
            plan(stop, request(&bob(), &exchange.domain, sell(12, OrderKind::ImmediateOrCancel))),
        ])
        .await
        .unwrap();
    assert_eq!(codes(&outcomes), [0, Code::InvalidRequest as i32, Code::BadSignature as i32]);
    let OrderOutcome::Ok(ack) = &outcomes[0] else { unreachable!() };
    assert_eq!((ack.filled, ack.remaining), (Lots(0), Lots(100)));
    let OrderOutcome::Error(error) = &outcomes[1] else { unreachable!() };
    assert_eq!((&error.data["field"], error.data["fault"]["nearest"].as_str()), (&"plan".into(), Some("1")));
    assert_eq!(status(&exchange, 10).await, OrderStatus::Waiting);

    let wait = Wait { trigger: Some(below(450)), pace: Pace::Whole };
    let outcomes = exchange
        .client
        .replace_orders(vec![
            replacement(10, None, exchange.mine(sell(13, OrderKind::ImmediateOrCancel))),
            replacement(13, Some(wait), exchange.mine(sell(14, OrderKind::ImmediateOrCancel))),
            replacement(13, None, exchange.mine(sell(15, OrderKind::ImmediateOrCancel))),
        ])
        .await
        .unwrap();
    assert_eq!(codes(&outcomes), [0, 0, Code::UnknownOrder as i32]);
    let waiting = planned(&exchange).await;
    assert_eq!(waiting.len(), 1);
    assert_eq!((waiting[0].nonce, waiting[0].plan.trigger), (Nonce(14), Some(below(450))));
    assert_eq!((waiting[0].waits_for, waiting[0].remaining), (WaitsFor::Price, Lots(100)));

    // It is made smaller; nobody else may, and it never grows.
    let amendments = vec![
        exchange.amendment(&alice(), 14, 40),
        exchange.amendment(&alice(), 14, 60),
        exchange.amendment(&bob(), 14, 10),
        exchange.amendment(&alice(), 77, 10),
    ];
    let outcomes = exchange.client.amend_orders(amendments).await.unwrap();
    let refusals = [Code::BadSize, Code::BadSignature, Code::UnknownOrder].map(|code| code as i32);
    assert_eq!(codes(&outcomes), [&[0], &refusals[..]].concat());
    assert!(matches!(&outcomes[0], OrderOutcome::Ok(ack) if ack.remaining == Lots(60)));

    // The price comes: it is released when a frame opens, and sells what the book buys.
    place(&exchange, &bob(), order(BOB, 2, Side::Buy, 25, 440)).await;
    exchange.trade_at(450, 3).await;
    exchange.until("the stop has gone", async |exchange| status(exchange, 14).await == OrderStatus::Done).await;
    exchange
        .until("the history has it", async |exchange| {
            let history = exchange.client.order_history(ACCOUNT, None, None).await.unwrap();
            history.iter().any(|record| {
                record.order.nonce == Nonce(14)
                    && record.filled == Lots(25)
                    && matches!(record.state, OrderState::Cancelled(_))
            })
        })
        .await;

    // An iceberg shows a part; a post-only order slides; a slice of a TWAP goes with each interval.
    let iceberg = Plan { pace: Pace::Iceberg { display: Lots(10) }, ..Plan::default() };
    let twap = Plan { pace: Pace::Twap { slices: 2, interval: 1_000 }, ..Plan::default() };
    let maker = Order { kind: OrderKind::PostOnly, ..order(ALICE, 21, Side::Buy, 5, 700) };
    let slid = PlanRequest { crossing: Crossing::Slide, ..plan(Plan::default(), exchange.mine(maker)) };
    let iceberg = plan(iceberg, exchange.mine(order(ALICE, 20, Side::Sell, 100, 700)));
    assert_eq!(codes(&exchange.client.plan_orders(vec![iceberg]).await.unwrap()), [0]);
    // In one window the post-only order would go first.
    let later = vec![slid, plan(twap, exchange.mine(order(ALICE, 22, Side::Buy, 10, 100)))];
    assert_eq!(codes(&exchange.client.plan_orders(later).await.unwrap()), [0; 2]);
    let book = exchange.client.book(MARKET, None).await.unwrap();
    assert_eq!((book.asks[0].price, book.asks[0].size, book.bids[0].price), (Ticks(700), Lots(10), Ticks(699)));
    let waits = planned(&exchange).await;
    assert!(matches!(waits[..], [PlannedOrder { nonce: Nonce(22), .. }]), "{waits:?}");

    // A plan that a resting order has not.
    let outcomes = exchange
        .client
        .replace_orders(vec![replacement(21, Some(wait), exchange.mine(order(ALICE, 23, Side::Buy, 5, 600)))])
        .await
        .unwrap();
    assert_eq!(codes(&outcomes), [Code::InvalidRequest as i32]);

    // By side, then by market and venue, resting or waiting.
    let ack = exchange.client.cancel_many(exchange.cancel_many(0, MarketId(0), Sides::Sell, 30)).await.unwrap();
    assert_eq!(ack.remaining, Lots(100));
    let refused = exchange.client.cancel_many(exchange.cancel_many(0, MarketId(0), Sides::Sell, 30)).await;
    assert!(refused.unwrap_err().to_string().contains("nonce"), "it cannot be repeated");
    let ack = exchange.client.cancel_many(exchange.cancel_many(2, MarketId(0), Sides::Both, 31)).await.unwrap();
    assert_eq!(ack.remaining, Lots(0), "there is nothing on venue 2");
    exchange.client.cancel_many(exchange.cancel_many(1, MARKET, Sides::Both, 32)).await.unwrap();
    assert!(planned(&exchange).await.is_empty());
    assert!(exchange.client.open_orders(ACCOUNT).await.unwrap().is_empty());

    // The dead-man switch: set, taken back, set again, due.
    place(&exchange, &alice(), order(ALICE, 40, Side::Buy, 5, 200)).await;
    let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    exchange.switch(now + 600_000, 41).await;
    exchange.switch(0, 42).await;
    assert_eq!(status(&exchange, 40).await, OrderStatus::Resting);
    exchange.switch(now + 1_000, 43).await;
    exchange.until("nobody was there", async |exchange| status(exchange, 40).await == OrderStatus::Done).await;

    let none = exchange.client.plan_orders(vec![]).await.unwrap_err().to_string();
    assert!(none.contains("1 to 200"), "{none}");
    exchange.until_all_is_settled().await;
    let audit = exchange.audit();
    assert!(!audit.contains("DIFFER"), "{audit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_plans_replaces_amends_and_cancels() {
    let exchange = Exchange::open().await;
    exchange.trade_at(600, 1).await;

    // A bracket: the entry rests, its exits sleep; it fills, and the take-profit comes to the book.
    let bracket = ["order", "buy", "argentina/spain", "--price", "0.5", "--size", "2", "--nonce", "10"];
    let exits = ["--take-profit", "0.8", "--stop-loss", "0.3"];
    let said = exchange.xos_ok("alice", &[&bracket[..], &exits].concat());
    assert_eq!(said.lines().count(), 3, "{said}");
    let waiting = planned(&exchange).await;
    let after = |order: &PlannedOrder| (order.nonce.0, order.plan.after, order.reduce_only, order.excludes);
    let entry = Some(Nonce(10));
    assert_eq!(
        waiting.iter().map(after).collect::<Vec<_>>(),
        [(11, entry, true, Some(Nonce(12))), (12, entry, true, Some(Nonce(11)))]
    );
    let shown = exchange.xos_ok("alice", &["account"]);
    assert!(shown.contains("waits for") && shown.matches("order 10").count() == 2, "{shown}");
    exchange.xos_ok("bob", &["order", "sell", "argentina/spain", "--price", "0.5", "--size", "2"]);
    exchange.until("the take-profit rests", async |exchange| status(exchange, 11).await == OrderStatus::Resting).await;
    let shown = exchange.xos_ok("alice", &["account"]);
    assert!(shown.contains("0.3 or less"), "{shown}");

    // The stop trails, the take-profit is made smaller, and another order takes its place.
    let trail = ["order", "sell", "argentina/spain", "--ticks", "1", "--size", "2", "--kind", "ioc", "--reduce-only"];
    exchange.xos_ok("alice", &[&trail[..], &["--when-below", "0.35", "--replaces", "12", "--nonce", "13"]].concat());
    let waiting = planned(&exchange).await;
    assert_eq!((waiting[0].nonce, waiting[0].plan.trigger.unwrap().price), (Nonce(13), Ticks(350)));
    let said = exchange.xos_ok("alice", &["amend", "11", "--size", "1.5"]);
    assert!(said.contains("50 lots taken off"), "{said}");
    let moved = ["order", "sell", "argentina/spain", "--price", "0.85", "--size", "1", "--reduce-only"];
    exchange.xos_ok("alice", &[&moved[..], &["--replaces", "11", "--nonce", "14"]].concat());
    assert_eq!((status(&exchange, 11).await, status(&exchange, 14).await), (OrderStatus::Done, OrderStatus::Resting));

    // Refused, in one line and with the reason.
    let refused = |arguments: &[&str]| {
        let output = exchange.xos("alice", arguments);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        text(&output.stdout) + &text(&output.stderr)
    };
    let twap = ["order", "buy", "argentina/spain", "--price", "0.1", "--size", "1"];
    let said = refused(&[&twap[..], &["--slices", "1", "--every", "10"]].concat());
    assert!(said.contains("1 slices") && said.contains("1 of 1 orders were not taken"), "{said}");
    let said = refused(&["amend", "14", "--lots", "500"]);
    assert!(said.contains("an amendment only makes it smaller"), "{said}");
    let said = refused(&["amend", "999", "--size", "1"]);
    assert!(said.contains("no order 999"), "{said}");

    // An iceberg and a TWAP, then everything of a side, of a market, and after a while.
    exchange.xos_ok("alice", &["order", "sell", "argentina/spain", "--price", "0.9", "--size", "5", "--show", "1"]);
    exchange.xos_ok("alice", &[&twap[..], &["--slices", "4", "--every", "60"]].concat());
    assert_eq!(exchange.client.book(MARKET, None).await.unwrap().asks.last().unwrap().size, Lots(100));
    let said = exchange.xos_ok("alice", &["cancel", "--side", "sell"]);
    assert!(said.contains("lots taken out"), "{said}");
    assert!(planned(&exchange).await.iter().all(|order| order.side == Side::Buy));
    let said = exchange.xos_ok("alice", &["cancel", "--market", "argentina/spain", "--venue", "1"]);
    assert!(said.contains("100 lots taken out"), "{said}");
    assert!(planned(&exchange).await.is_empty() && exchange.client.open_orders(ACCOUNT).await.unwrap().is_empty());
    exchange.xos_ok("alice", &["order", "buy", "argentina/spain", "--price", "0.1", "--size", "1", "--nonce", "800"]);
    assert!(exchange.xos_ok("alice", &["cancel", "--after", "600"]).contains("in 600 seconds"));
    assert!(exchange.xos_ok("alice", &["cancel", "--after", "0"]).contains("off"));
    exchange.xos_ok("alice", &["cancel", "--after", "1"]);
    exchange.until("nobody was there", async |exchange| status(exchange, 800).await == OrderStatus::Done).await;
    exchange.audit();
}
