//! The chain side against a real node: requests, the inbox, settlement, and what happens when something gives way.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../artifact/mod.rs"]
mod artifact;
mod faults;
mod node;
mod proxy;

use std::collections::BTreeMap;
use std::time::Duration;

use alloy::primitives::{Address, B256, U256};
use futures::future::try_join_all;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use xos_auth::{Domain, Key};
use xos_chain::{
    At, Chain, ChainError, Deployment, EventState, InboxConfig, InboxNews, InboxReader, Settled, SettlementStatus,
    Submitter, SubmitterConfig, Wallet,
};
use xos_engine::Engine;
use xos_types::{
    AccountId, Atoms, Command, Event, EventConfig, EventId, Frame, InboxItem, InboxPayload, Lots, MarketId, Nonce,
    Order, OrderKind, Phase, Ppm, Side, SignerGrant, Ticks, TimeMs, TradingTerms, VenueConfig, VenueId, Withdraw,
};

use crate::node::Anvil;
use crate::proxy::Proxy;

const LONG: Duration = Duration::from_secs(60);
/// Numbers of their accounts, after the insurance fund and the protocol's treasury.
const ALICE: u64 = 3;
const BOB: u64 = 4;
const VENUE: VenueConfig = VenueConfig {
    treasury: AccountId::PROTOCOL,
    protocol_share: Ppm(0),
    insurance_share: Ppm(100_000),
    referrer_share: Ppm(0),
};
const MARKET: MarketId = MarketId::new(EventId(1), 0);

/// A deployed group with an event, two funded traders, and an engine that has seen the inbox.
struct Exchange {
    anvil: Anvil,
    deployment: Deployment,
    chain: Chain,
    sequencer: Key,
    alice: Wallet,
    bob: Wallet,
    domain: Domain,
    engine: Engine,
    nonce: u64,
    frames: Vec<Frame>,
}

fn key(number: u8) -> Key {
    Key::from_bytes([number; 32]).unwrap()
}

fn event_config(resolver: Address, outcomes: u8) -> EventConfig {
    EventConfig {
        terms: TradingTerms { taker_fee: Ppm(1_000), ..TradingTerms::free(VenueId(1), 10) },
        outcomes,
        ticks: 1_000,
        resolver,
        title: "Wer gewinnt? ⚽".into(),
        labels: (0..outcomes).map(|k| format!("Côte {k}")).collect(),
    }
}

/// The items among the news, when nothing is taken back.
fn items(news: Vec<InboxNews>) -> Vec<InboxItem> {
    let item = |news| match news {
        InboxNews::Item(item) => item,
        InboxNews::TakenBack(index) => panic!("item {index} is taken back"),
    };
    news.into_iter().map(item).collect()
}

impl Exchange {
    async fn open() -> Self {
        let anvil = Anvil::start();
        let (sequencer, deployer) = (key(1), key(2));
        let deployment = anvil.deploy(&sequencer, &deployer).await;
        let chain = anvil.chain(&deployment).await;
        let (alice, bob) = (chain.wallet(key(3)), chain.wallet(key(4)));
        for address in [sequencer.address(), deployer.address(), alice.address(), bob.address()] {
            anvil.give_gas(address).await;
        }
        let house = chain.wallet(deployer);
        house.open_venue(VENUE).await.unwrap();
        let first = alice.fund(None, 10_000_000).await.unwrap();
        let second = bob.fund(None, 10_000_000).await.unwrap();
        assert_eq!((first.account, first.amount, second.account), (AccountId(ALICE), 10_000_000, AccountId(BOB)));
        house.open_event(&event_config(house.address(), 3)).await.unwrap();
        let mut exchange = Self {
            domain: deployment.domain(),
            engine: Engine::new(deployment.group_config()),
            anvil,
            deployment,
            chain,
            sequencer,
            alice,
            bob,
            nonce: 0,
            frames: Vec::new(),
        };
        // The first opens with the inbox, the second seals it: that is frame 1.
        exchange.frame().await;
        exchange.frame().await;
        exchange
    }

    fn reader(&self) -> InboxReader {
        let next = self.engine.next_inbox();
        InboxReader::new(&self.anvil.url, &self.deployment, InboxConfig::default(), next).unwrap()
    }

    /// Seals the open frame and opens the next one with what the inbox holds.
    async fn frame(&mut self) {
        let inbox = items(self.reader().poll().await.unwrap());
        let time = TimeMs(self.anvil.now().await);
        let mut events = Vec::new();
        self.engine.apply(&Command::Frame { time, inbox, prices: vec![] }.into(), &mut events);
        for event in events {
            if let Event::FrameSealed(frame) = event {
                self.frames.push(*frame);
            }
        }
    }

    /// Bob sells to Alice.
    fn trade(&mut self, lots: u64, price: u64) {
        for (account, side, key) in [(BOB, Side::Sell, self.bob.key()), (ALICE, Side::Buy, self.alice.key())] {
            self.nonce += 1;
            let order = Order {
                account: AccountId(account),
                market: MARKET,
                side,
                kind: OrderKind::GoodTillCancelled,
                reduce_only: false,
                size: Lots(lots),
                price: Ticks(price),
                nonce: Nonce(self.nonce),
                expiry: TimeMs(0),
                max_fee: Ppm(1_000),
                builder: 0,
                builder_fee: Ppm(0),
            };
            let signed = key.sign_typed(&self.domain, order);
            let mut events = Vec::new();
            self.engine.apply(&Command::place(signed).into(), &mut events);
            assert!(matches!(events[0], Event::Accepted { .. }), "{events:?}");
        }
    }

    /// As many frames as asked for, each with a trade.
    async fn frames_of_trades(&mut self, count: u64) {
        for n in 0..count {
            self.trade(10 + n, 300 + n);
            self.frame().await;
        }
    }

    fn submit(&self, url: &str, config: SubmitterConfig) -> Submission {
        let relayer = self.sequencer.clone();
        let submitter = Submitter::new(url, &self.deployment, self.sequencer.clone(), relayer, config).unwrap();
        let status = submitter.status();
        let (frames, queue) = mpsc::channel(1_000);
        let (reports, settled) = mpsc::unbounded_channel();
        Submission { task: tokio::spawn(submitter.run(queue, reports)), frames, settled, status }
    }

    async fn agrees_with_the_chain(&self) {
        for id in self.engine.account_ids() {
            let ours = self.engine.account(id).unwrap();
            let theirs = self.chain.account(id, At::Latest).await.unwrap();
            assert_eq!((ours.owner, ours.cash, ours.worst_payoff), (theirs.owner, theirs.cash, theirs.worst_payoff));
            let held: BTreeMap<_, _> = self.engine.positions(id).into_iter().collect();
            let positions = self.chain.positions(id, MARKET.event(), At::Latest).await.unwrap();
            for (outcome, lots) in (0..).zip(positions) {
                assert_eq!(lots, held.get(&MarketId::new(MARKET.event(), outcome)).copied().unwrap_or_default());
            }
        }
        let custody = self.chain.token_balance(self.deployment.group, At::Latest).await.unwrap();
        assert_eq!(custody, U256::from(self.engine.custody().0));
    }
}

/// A running submitter.
struct Submission {
    task: JoinHandle<Result<(), ChainError>>,
    frames: mpsc::Sender<Frame>,
    settled: mpsc::UnboundedReceiver<Settled>,
    status: tokio::sync::watch::Receiver<SettlementStatus>,
}

impl Submission {
    async fn hand_in(&self, frames: &[Frame]) {
        for frame in frames {
            // It may have halted at an earlier one; whoever waits for it then hears why.
            if self.frames.send(frame.clone()).await.is_err() {
                return;
            }
        }
    }

    async fn next(&mut self) -> Settled {
        timeout(LONG, self.settled.recv()).await.expect("settlement goes on").expect("the submitter runs")
    }

    async fn settles(&mut self, count: usize) -> Vec<Settled> {
        let mut settled = Vec::new();
        for _ in 0..count {
            settled.push(self.next().await);
        }
        settled
    }

    async fn halts(self) -> ChainError {
        let error = timeout(LONG, self.task).await.expect("it halts").unwrap().unwrap_err();
        assert_eq!(self.status.borrow().halted, Some(error.to_string()));
        error
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn money_goes_in_trades_and_goes_out() {
    let mut exchange = Exchange::open().await;
    exchange.trade(100, 300);
    exchange.frame().await;
    let mut submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
    submission.hand_in(&exchange.frames).await;
    let settled = submission.settles(exchange.frames.len()).await;
    let last = settled.last().unwrap();
    assert_eq!(last.orders_filled, 2);
    assert!(last.gas_used > last.calldata_gas && last.calldata_gas > 0);
    exchange.agrees_with_the_chain().await;

    // The house decides; the winner is paid, withdraws through the sequencer, the loser by force.
    let house = exchange.chain.wallet(key(2));
    house.resolve_event(EventId(1), &[1_000, 0, 0]).await.unwrap();
    exchange.frame().await;
    let before = exchange.chain.token_balance(exchange.alice.address(), At::Latest).await.unwrap();
    let cash = exchange.engine.account(AccountId(ALICE)).unwrap().cash;
    // 100 lots bought at 300 ticks, worth 1000, less a fee of 1 in 1000 of the 300 000 paid.
    assert_eq!(cash, Atoms(10_000_000 - 300_000 - 300 + 1_000_000));
    let amount = cash.0.unsigned_abs();
    let withdraw = Withdraw {
        account: AccountId(ALICE),
        token: exchange.deployment.token,
        amount,
        nonce: Nonce(1_000),
        expiry: TimeMs(0),
    };
    let signed = exchange.alice.key().sign_typed(&exchange.domain, withdraw);
    exchange.engine.apply(&Command::Withdraw(signed).into(), &mut Vec::new());
    exchange.bob.request_withdrawal(AccountId(BOB), u128::MAX).await.unwrap();
    exchange.frame().await;
    exchange.frame().await;
    let fresh = &exchange.frames[settled.len()..];
    submission.hand_in(fresh).await;
    submission.settles(fresh.len()).await;
    exchange.agrees_with_the_chain().await;
    let after = exchange.chain.token_balance(exchange.alice.address(), At::Latest).await.unwrap();
    assert_eq!(after - before, U256::from(amount));
    let bob = exchange.chain.token_balance(exchange.bob.address(), At::Latest).await.unwrap();
    assert_eq!(bob, U256::from(10_000_000 - 700_000));
    assert_eq!(exchange.chain.event(EventId(1), At::Latest).await.unwrap().state, EventState::Resolved);
    assert_eq!(exchange.chain.payouts(EventId(1), At::Latest).await.unwrap(), [1_000, 0, 0]);

    let status = submission.status.borrow().clone();
    let last = exchange.frames.last().unwrap().id;
    assert_eq!((status.sealed, status.settled, status.reverted), (last, last, 0));
    assert_eq!((status.halted, status.waiting), (None, None));
    let batches = exchange.chain.batches(1).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.id).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    assert_eq!(exchange.chain.last_batch(At::Latest).await.unwrap().hash, batches.last().unwrap().hash);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_ask_by_transaction_and_pay_for_it() {
    let mut exchange = Exchange::open().await;
    let (alice, bob) = (AccountId(ALICE), AccountId(BOB));
    let before = exchange.chain.native_balance(exchange.chain.deployment().gateway).await.unwrap();
    let fee = exchange.chain.request_fee().await.unwrap();
    exchange.alice.request_cancel_all(alice, Nonce(40)).await.unwrap();
    let agent = key(9);
    let grant = SignerGrant {
        signer: agent.address(),
        expiry: TimeMs(u64::MAX >> 16),
        max_notional: 1_000_000,
        trade: true,
        withdraw: false,
        venues: [VenueId(1), VenueId(0), VenueId(0)],
    };
    exchange.alice.set_signer(alice, &grant).await.unwrap();
    let builder = exchange.alice.register_builder(alice).await.unwrap();
    exchange.bob.set_referrer(bob, builder).await.unwrap();
    let paid = exchange.chain.native_balance(exchange.chain.deployment().gateway).await.unwrap() - before;
    assert_eq!(paid, fee * U256::from(4), "what was offered beyond the fee came back");
    let house = exchange.chain.wallet(key(2));
    house.set_phase(EventId(1), Phase::ReduceOnly).await.unwrap();
    exchange.frame().await;
    exchange.frame().await;
    let mut submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
    submission.hand_in(&exchange.frames).await;
    submission.settles(exchange.frames.len()).await;
    exchange.agrees_with_the_chain().await;
    assert_eq!(exchange.chain.account(alice, At::Latest).await.unwrap().floor, Nonce(40));
    assert_eq!(exchange.engine.account(alice).unwrap().floor, Nonce(40));
    assert_eq!(exchange.chain.event(EventId(1), At::Latest).await.unwrap().state, EventState::ReduceOnly);

    let thief = exchange.bob.request_cancel_all(alice, Nonce(1)).await.unwrap_err().to_string();
    assert!(thief.contains("NotOwner"), "{thief}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_at_any_moment_settles_every_frame_once() {
    let mut exchange = Exchange::open().await;
    exchange.frames_of_trades(6).await;
    let count = exchange.frames.len();
    assert_eq!(count, 7);
    let mut reported = Vec::new();
    // Killed again and again: before sending, after sending, while waiting.
    for life in [120, 400, 900, 1_700, 250] {
        let mut submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
        submission.hand_in(&exchange.frames).await;
        sleep(Duration::from_millis(life)).await;
        submission.task.abort();
        while let Ok(settled) = submission.settled.try_recv() {
            reported.push(settled);
        }
    }
    let mut submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
    submission.hand_in(&exchange.frames).await;
    let settled = submission.settles(count).await;
    assert_eq!(settled.iter().map(|batch| batch.id).collect::<Vec<_>>(), (1..=7).collect::<Vec<_>>());
    // Whatever an earlier life reported is what the last one found.
    for earlier in &reported {
        assert!(settled.contains(earlier), "{earlier:?}");
    }
    assert_eq!(submission.status.borrow().reverted, 0);
    exchange.agrees_with_the_chain().await;
    // One transaction a batch was mined, and none reverted in vain.
    assert_eq!(exchange.anvil.nonce(exchange.sequencer.address()).await, 7);

    // A later life may begin in the middle.
    let mut submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
    submission.hand_in(&exchange.frames[4..]).await;
    assert_eq!(submission.settles(3).await, settled[4..]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_not_mined_is_sent_again_with_higher_fees() {
    let mut exchange = Exchange::open().await;
    exchange.frames_of_trades(1).await;
    exchange.anvil.mine_every(0).await;
    let config = SubmitterConfig { resend_after: Duration::from_millis(700), ..SubmitterConfig::default() };
    // An earlier life left a transaction behind.
    let earlier = exchange.submit(&exchange.anvil.url, config);
    earlier.hand_in(&exchange.frames).await;
    sleep(Duration::from_millis(500)).await;
    earlier.task.abort();
    let mut submission = exchange.submit(&exchange.anvil.url, config);
    submission.hand_in(&exchange.frames).await;
    // First it finds the earlier one in its way, and then that nothing is mined.
    let is_late = |status: &SettlementStatus| status.waiting.as_ref().is_some_and(|why| why.contains("not mined"));
    timeout(LONG, submission.status.wait_for(is_late)).await.unwrap().unwrap();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(exchange.chain.last_batch(At::Latest).await.unwrap().id, 0);
    exchange.anvil.mine_every(1).await;
    let settled = submission.settles(2).await;
    assert_eq!(exchange.anvil.nonce(exchange.sequencer.address()).await, 2);
    assert_eq!((settled[1].id, submission.status.borrow().reverted), (2, 0));
    assert_eq!(submission.status.borrow().waiting, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_goes_away_is_waited_for() {
    let mut exchange = Exchange::open().await;
    exchange.frames_of_trades(3).await;
    let proxy = Proxy::to(exchange.anvil.port).await;
    let mut submission = exchange.submit(&proxy.url, SubmitterConfig::default());
    let (news, mut inbox) = mpsc::channel(100);
    let config = InboxConfig { chunk: 3, ..InboxConfig::default() };
    let reader = InboxReader::new(&proxy.url, &exchange.deployment, config, 0).unwrap();
    let reader = tokio::spawn(reader.run(news));
    submission.hand_in(&exchange.frames[..2]).await;
    submission.next().await;
    for _ in 0..3 {
        proxy.cut(true);
        sleep(Duration::from_millis(1_500)).await;
        proxy.cut(false);
        sleep(Duration::from_millis(400)).await;
    }
    proxy.cut(true);
    exchange.alice.fund(Some(AccountId(ALICE)), 77).await.unwrap();
    submission.hand_in(&exchange.frames[2..]).await;
    sleep(Duration::from_millis(1_000)).await;
    proxy.cut(false);
    submission.settles(3).await;
    let seen: Vec<InboxItem> = {
        let mut seen = Vec::new();
        while seen.len() < 5 {
            seen.extend(items(vec![timeout(LONG, inbox.recv()).await.unwrap().unwrap()]));
        }
        seen
    };
    assert_eq!(seen.iter().map(|item| item.index).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert!(matches!(seen[4].payload, InboxPayload::Deposit { account: AccountId(ALICE), amount: 77, .. }));
    assert_eq!(submission.status.borrow().reverted, 0);
    drop(inbox);
    timeout(LONG, reader).await.expect("it stops when nobody listens").unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settlement_halts_loudly_and_sends_nothing() {
    let mut exchange = Exchange::open().await;
    exchange.frames_of_trades(2).await;
    let sent = || exchange.anvil.nonce(exchange.sequencer.address());

    // A batch that the contract refuses: one lot more than was signed.
    let mut forged = exchange.frames.clone();
    let fills = &mut forged[1].markets[0].1;
    for line in fills.iter_mut() {
        line.filled = Lots(line.filled.0 + 1);
        line.notional += u128::from(line.order.message.price.0);
    }
    let mut submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
    submission.hand_in(&forged).await;
    assert_eq!(submission.next().await.id, 1);
    let error = submission.halts().await;
    assert!(matches!(error, ChainError::BatchRefused { id: 2, .. }), "{error}");
    assert!(error.to_string().contains("OrderOverfilled"), "{error}");
    assert_eq!(sent().await, 1);

    // A log that is not this chain's.
    let mut foreign = exchange.frames.clone();
    foreign[0].sequence += 1;
    let submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
    submission.hand_in(&foreign).await;
    let error = submission.halts().await;
    assert!(matches!(error, ChainError::ForeignBatch { id: 1, .. }), "{error}");

    // Frames with one left out, and from too far ahead.
    let submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
    submission.hand_in(&[exchange.frames[0].clone(), exchange.frames[2].clone()]).await;
    assert!(matches!(submission.halts().await, ChainError::FrameGap { expected: 2, got: 3 }));
    let submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
    submission.hand_in(&exchange.frames[2..]).await;
    assert!(matches!(submission.halts().await, ChainError::FrameGap { expected: 2, got: 3 }));

    // Too much for a transaction.
    let config = SubmitterConfig { gas_limit: 100_000, ..SubmitterConfig::default() };
    let submission = exchange.submit(&exchange.anvil.url, config);
    submission.hand_in(&exchange.frames[1..]).await;
    assert!(matches!(submission.halts().await, ChainError::BatchTooLarge { id: 2, limit: 100_000, .. }));
    assert_eq!(sent().await, 1);

    // Nothing of this broke anything.
    let mut submission = exchange.submit(&exchange.anvil.url, SubmitterConfig::default());
    submission.hand_in(&exchange.frames).await;
    submission.settles(3).await;
    exchange.agrees_with_the_chain().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inbox_reads_on_from_anywhere_and_waits_for_confirmations() {
    let exchange = Exchange::open().await;
    let read = |config: InboxConfig, next: u64| {
        let mut reader = InboxReader::new(&exchange.anvil.url, &exchange.deployment, config, next).unwrap();
        async move { items(reader.poll().await.unwrap()) }
    };
    let all = read(InboxConfig::default(), 0).await;
    assert_eq!(all.len(), 4);
    let InboxPayload::EventOpened { event: EventId(1), config } = &all[3].payload else { panic!("{all:?}") };
    assert_eq!(*config, event_config(key(2).address(), 3));
    for next in 0..=4 {
        let chunk = InboxConfig { chunk: 1 + next, ..InboxConfig::default() };
        assert_eq!(read(chunk, next).await, all[usize::try_from(next).unwrap()..]);
    }

    let unconfirmed = InboxConfig { confirmations: 3, ..InboxConfig::default() };
    let mut reader = InboxReader::new(&exchange.anvil.url, &exchange.deployment, unconfirmed, 4).unwrap();
    let block = exchange.alice.fund(Some(AccountId(ALICE)), 5).await.unwrap().block;
    let item = loop {
        if let Some(item) = items(reader.poll().await.unwrap()).into_iter().next() {
            break item;
        }
        sleep(Duration::from_millis(100)).await;
    };
    assert_eq!(item.index, 4);
    assert!(exchange.chain.block_number().await.unwrap() >= block + 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_wallet_serves_many_tasks() {
    let anvil = Anvil::start();
    let deployment = anvil.deploy(&key(1), &key(2)).await;
    let chain = anvil.chain(&deployment).await;
    let rich = anvil.rich(&chain);
    let to: Vec<Address> = (10..50).map(|n| key(n).address()).collect();
    rich.send_native_to_all(&to, U256::from(10).pow(U256::from(18))).await.unwrap();
    for address in &to {
        assert_eq!(chain.native_balance(*address).await.unwrap(), U256::from(10).pow(U256::from(18)));
    }
    // As many traders fund themselves at once, and the deployer opens events in order meanwhile.
    anvil.give_gas(key(2).address()).await;
    let house = chain.wallet(key(2));
    house.open_venue(VENUE).await.unwrap();
    let configs: Vec<EventConfig> = (2..40).map(|n| event_config(key(2).address(), n)).collect();
    let wallets: Vec<Wallet> = (10..50).map(|n| chain.wallet(key(n))).collect();
    let (opened, deposited) =
        tokio::join!(house.open_events(&configs), try_join_all(wallets.iter().map(|wallet| wallet.fund(None, 1_000))));
    let events: Vec<u32> = opened.unwrap().iter().map(|opened| opened.event.0).collect();
    assert_eq!(events, (1..=38).collect::<Vec<_>>());
    let mut accounts: Vec<u64> = deposited.unwrap().iter().map(|deposited| deposited.account.0).collect();
    accounts.sort_unstable();
    assert_eq!(accounts, (3..=42).collect::<Vec<_>>());
    for event in 1..=38 {
        let info = chain.event(EventId(event), At::Latest).await.unwrap();
        assert_eq!((info.resolver, info.state), (house.address(), EventState::Pending));
    }
    assert_eq!(chain.event(EventId(39), At::Latest).await.unwrap().state, EventState::None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_reverts_when_it_is_mined_says_why() {
    let exchange = Exchange::open().await;
    let (alice, bob) = (&exchange.alice, exchange.bob.address());
    alice.mint(alice.address(), 100).await.unwrap();
    // Either would be fine without the other.
    exchange.anvil.mine_every(0).await;
    let mine = async {
        sleep(Duration::from_secs(1)).await;
        exchange.anvil.mine_every(1).await;
    };
    let (first, second, ()) = tokio::join!(alice.transfer(bob, 100), alice.transfer(bob, 100), mine);
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    let error = first.and(second).unwrap_err();
    assert!(matches!(error, ChainError::Reverted { .. }), "{error}");
    assert!(error.to_string().contains("reverted: ERC20InsufficientBalance"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_say_what_is_wrong_and_what_to_do() {
    let exchange = Exchange::open().await;
    let text = |error: ChainError| error.to_string();

    let stranger = exchange.alice.resolve_event(EventId(1), &[1_000, 0, 0]).await.map_err(text).unwrap_err();
    assert!(stranger.contains("NotResolver") && stranger.contains("resolveEvent"), "{stranger}");
    let thief = exchange.alice.request_withdrawal(AccountId(BOB), 1).await.map_err(text).unwrap_err();
    assert!(thief.contains("NotOwner"), "{thief}");
    let dreamer = exchange.alice.deposit(None, 1 << 90).await.map_err(text).unwrap_err();
    assert!(dreamer.contains("TransferFailed") || dreamer.contains("ERC20InsufficientBalance"), "{dreamer}");

    let nowhere = Deployment { group: Address::repeat_byte(9), ..exchange.deployment.clone() };
    let error = Chain::connect(&exchange.anvil.url, &nowhere).await.map_err(text).unwrap_err();
    assert!(error.contains("no contract at"), "{error}");
    let elsewhere = Deployment { chain_id: 196, ..exchange.deployment.clone() };
    let error = Chain::connect(&exchange.anvil.url, &elsewhere).await.map_err(text).unwrap_err();
    assert!(error.contains("serves chain 31337") && error.contains("chain 196"), "{error}");

    // Nothing of a URL is shown that may be a secret.
    let secret = "http://user:hunter2@127.0.0.1:1/v3/hunter2?key=hunter2";
    let error = Chain::connect(secret, &exchange.deployment).await.map_err(text).unwrap_err();
    assert!(error.contains("http://127.0.0.1:1") && !error.contains("hunter2"), "{error}");
    for bad in ["", "127.0.0.1:8545", "ftp://host", "ws://host"] {
        let error = Chain::connect(bad, &exchange.deployment).await.unwrap_err();
        assert!(matches!(error, ChainError::BadUrl { .. }), "{error}");
    }

    let wrong = Submitter::new(&exchange.anvil.url, &exchange.deployment, key(9), key(9), SubmitterConfig::default());
    let (_frames, handed_in) = tokio::sync::mpsc::channel(1);
    let (reports, _settled) = tokio::sync::mpsc::unbounded_channel();
    let stopped = wrong.unwrap().run(handed_in, reports).await;
    assert!(matches!(stopped.unwrap_err(), ChainError::WrongSequencer { .. }));
    assert_eq!(exchange.chain.last_batch(At::Latest).await.unwrap().hash, B256::ZERO);
}
