//! A trader holds the node to its word: an acknowledged order that the log has forgotten is noticed, and so is a receipt
//! that the sequencer did not sign. The node here is one that acknowledges everything and keeps what it is told to keep.

#![expect(clippy::unwrap_used, reason = "helpers of a test: where they fail, the test fails")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use jsonrpsee::RpcModule;
use jsonrpsee::server::{Server, ServerHandle};
use jsonrpsee::types::ErrorObjectOwned;
use xos_api::{
    AccountInfo, AccountLimits, Ack, LoggedIn, LoginRequest, MarketInfo, OrderInfo, OrderOutcome, OrderRequest,
    OrderStatus, Receipt, Used,
};
use xos_auth::{Domain, Key, LogHead, parse_signature, recover, signature_bytes};
use xos_types::{
    AccountId, Address, Atoms, B256, EventId, Lots, MarketId, Nonce, OrderKind, Ppm, Rate, Side, Ticks, TimeMs, VenueId,
};
use xos_worldcup::session::{Intent, Session, Trouble, Venue};
use xos_worldcup::tally::Tally;

/// What the node gives every connection to sign; it is one that nobody attacks.
const CHALLENGE: B256 = B256::repeat_byte(5);
const MARKET: MarketId = MarketId::new(EventId(1), 0);

/// What the node keeps of what it acknowledged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<BTreeSet<Nonce>>>);

struct Setting {
    sequencer: Key,
    domain: Domain,
    log: Log,
}

fn market() -> MarketInfo {
    MarketInfo {
        market: MARKET,
        venue: VenueId(1),
        event: EventId(1),
        label: "Spain".into(),
        tick_size: "0.001".into(),
        lot_size: "0.01".into(),
        lowest: Ticks(1),
        highest: Ticks(999),
        quantum: 10,
        taker_fee: Ppm(1000),
        maker_fee: Rate(0),
        curve: false,
        restricted: false,
        isolated_only: false,
        position_cap: Lots(0),
        open_interest_cap: Lots(0),
        open_interest: Lots(0),
        best_bid: None,
        best_ask: None,
        last: None,
    }
}

const NONE: Used = Used { used: 0, limit: 1 };

fn account(account: AccountId) -> AccountInfo {
    AccountInfo {
        account,
        owner: Address::ZERO,
        cash: Atoms(0),
        worst_payoff: Atoms(0),
        reserved: Atoms(0),
        available: Atoms(0),
        next_nonce: Nonce(7),
        positions: Vec::new(),
        traded: Vec::new(),
        limits: AccountLimits { orders: NONE, waiting: NONE, holdings: NONE },
    }
}

async fn serve(address: &str, signer: Key, domain: Domain, log: Log) -> (SocketAddr, ServerHandle) {
    let server = Server::builder().build(address).await.expect("the port is free");
    let mut module = RpcModule::new(Setting { sequencer: signer, domain, log });
    module.register_method("xos_markets", |_, _, _| vec![market()]).unwrap();
    module.register_method("xos_challenge", |_, _, _| Ok::<_, ErrorObjectOwned>(CHALLENGE)).unwrap();
    module
        .register_method("xos_login", |params, setting, _| {
            let (login,): (LoginRequest,) = params.parse()?;
            let LoginRequest { account, scope, expiry, challenge, cancel_on_disconnect, ref signature } = login;
            assert_eq!(challenge, CHALLENGE);
            let message = xos_types::Session { account, scope, expiry, challenge: challenge.0 };
            let signature = parse_signature(signature).expect("a signature");
            let signer = recover(setting.domain.digest(&message), &signature).expect("somebody's");
            Ok::<_, ErrorObjectOwned>(LoggedIn { account, signer, scope, expiry, cancel_on_disconnect })
        })
        .unwrap();
    module.register_method("xos_account", |_, _, _| Ok::<_, ErrorObjectOwned>(account(AccountId(3)))).unwrap();
    module
        .register_method("xos_placeOrders", |params, setting, _| {
            let (orders,): (Vec<OrderRequest>,) = params.parse()?;
            let mut kept = setting.log.0.lock().unwrap();
            let outcomes = orders.iter().map(|order| {
                kept.insert(order.nonce);
                let head = LogHead { sequence: 9, log_hash: [7; 32] };
                let signature = setting.sequencer.sign_typed(&setting.domain, head).signature;
                OrderOutcome::Ok(Ack {
                    receipt: Receipt {
                        sequence: 5,
                        log_sequence: 9,
                        log_hash: B256::from(head.log_hash),
                        signature: signature_bytes(&signature).into(),
                    },
                    filled: Lots(0),
                    remaining: order.size,
                    fills: Vec::new(),
                })
            });
            Ok::<_, ErrorObjectOwned>(outcomes.collect::<Vec<_>>())
        })
        .unwrap();
    module
        .register_method("xos_order", |params, setting, _| {
            let (_, nonce): (AccountId, Nonce) = params.parse()?;
            let kept = setting.log.0.lock().unwrap().contains(&nonce);
            let status = if kept { OrderStatus::Resting } else { OrderStatus::Unknown };
            Ok::<_, ErrorObjectOwned>(OrderInfo { status, open: None })
        })
        .unwrap();
    let address = server.local_addr().unwrap();
    (address, server.start(module))
}

fn orders(count: u64) -> Vec<Intent> {
    let intent = |price| Intent {
        market: MARKET,
        side: Side::Buy,
        kind: OrderKind::PostOnly,
        size: Lots(100),
        price: Ticks(price),
        expiry: TimeMs(0),
    };
    (1..=count).map(intent).collect()
}

struct Trial {
    session: Session,
    tally: Arc<Tally>,
    log: Log,
    address: SocketAddr,
    server: ServerHandle,
    sequencer: Key,
    domain: Domain,
}

impl Trial {
    async fn begin(signer: impl FnOnce(&Key) -> Key) -> Self {
        let (sequencer, domain, log) = (Key::random(), Domain::new(31337, Address::repeat_byte(1)), Log::default());
        let (address, server) = serve("127.0.0.1:0", signer(&sequencer), domain, log.clone()).await;
        let venue = Venue {
            url: format!("ws://{address}"),
            domain,
            token: Address::repeat_byte(2),
            sequencer: sequencer.address(),
        };
        let tally = Arc::new(Tally::default());
        let session =
            Session::open(Arc::new(venue), Key::random(), AccountId(3), Arc::clone(&tally)).await.expect("it is up");
        Self { session, tally, log, address, server, sequencer, domain }
    }

    /// The node goes away, and comes back at the same place with what its log holds.
    async fn restart(&mut self) {
        self.server.stop().unwrap();
        self.server.clone().stopped().await;
        let lost = self.session.place(&orders(1)).await;
        assert!(matches!(lost, Err(Trouble::Lost(_))), "{lost:?}");
        let address = self.address.to_string();
        self.server = serve(&address, self.sequencer.clone(), self.domain, self.log.clone()).await.1;
        self.session.resume().await.expect("it is back");
    }
}

#[tokio::test]
async fn a_node_that_keeps_its_word_loses_nothing() {
    let mut trial = Trial::begin(Key::clone).await;
    trial.session.place(&orders(300)).await.expect("it is up");
    trial.restart().await;
    trial.session.verify_all().await.expect("it is up");
    let counts = trial.tally.counts();
    assert_eq!((counts.accepted, counts.rejected, counts.lost, counts.reconnects), (300, 0, 0, 1));
    assert!(counts.verified >= 300 && counts.receipts_checked > 0);
    assert_eq!(counts.receipts_broken, 0);
}

#[tokio::test]
async fn every_acknowledged_order_that_the_log_forgot_is_counted_as_lost() {
    let mut trial = Trial::begin(Key::clone).await;
    let placed = trial.session.place(&orders(300)).await.expect("it is up");
    for forgotten in [0, 150, 170] {
        trial.log.0.lock().unwrap().remove(&placed[forgotten].nonce);
    }
    trial.restart().await;
    assert_eq!(trial.tally.counts().lost, 0, "the sample after a reconnect looks at the latest orders only");
    trial.session.verify_all().await.expect("it is up");
    assert_eq!(trial.tally.counts().lost, 3);
}

#[tokio::test]
async fn a_receipt_signed_by_another_is_broken() {
    let mut trial = Trial::begin(|_| Key::random()).await;
    trial.session.place(&orders(3)).await.expect("it is up");
    let counts = trial.tally.counts();
    assert_eq!((counts.receipts_checked, counts.receipts_broken), (1, 1));
}
