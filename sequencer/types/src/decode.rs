//! The log's commonest commands, decoded by hand from the bytes that postcard writes.
//!
//! A log is orders, replacements and cancels, and one that is replayed waits for whoever decodes it. Postcard takes a number byte by
//! byte, with a branch that is guessed wrong whenever the next account or price is longer than the last one. Here a number is
//! eight bytes at once and no branch. It is no format of its own: what does not look like a command that postcard writes most
//! of the time, or stands at the very end of the log, is left to postcard, and so is every error.

use alloy_primitives::Address;

use crate::command::Command;
use crate::instructions::{Crossing, Instructions, SelfTrade};
use crate::order::{Cancel, Order, OrderKind, Side, Signature, Signed};
use crate::units::{AccountId, Lots, MarketId, Nonce, Ppm, Ticks, TimeMs};

/// Places of the variants, as postcard numbers them.
const PLACE: u8 = 0;
const REPLACE: u8 = 1;
const CANCEL: u8 = 2;

/// Highest bit of each byte: more of the number follows.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// Bytes of a number of 32 bits at most.
const SMALL_BYTES: usize = 5;

/// Decodes the first command of a log over another one and returns what follows it, if it is one of those that are decoded here.
/// It is made where it will lie: a copy of what was just written makes the processor wait.
#[inline]
pub(crate) fn take_common<'a>(log: &'a [u8], command: &mut Command) -> Option<&'a [u8]> {
    let mut rest = Rest(log);
    match rest.byte()? {
        PLACE => {
            let (order, instructions) = (rest.signed(Rest::order)?, rest.instructions()?);
            *command = Command::Place { order, instructions };
        }
        REPLACE => {
            let nonce = Nonce(rest.number()?);
            let (order, instructions) = (rest.signed(Rest::order)?, rest.instructions()?);
            *command = Command::Replace { nonce, order, instructions };
        }
        CANCEL => *command = Command::Cancel(rest.signed(Rest::cancel)?),
        _ => return None,
    }
    Some(rest.0)
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    #[inline(always)]
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// A number of at most 56 bits: seven of each byte, the lowest first, until one without the highest bit.
    #[inline(always)]
    fn number(&mut self) -> Option<u64> {
        let bytes = u64::from_le_bytes(*self.0.first_chunk()?);
        let ends = !bytes & CONTINUES;
        if ends == 0 {
            return None;
        }
        // All bits up to the end's, and of each byte seven: those of two neighbours, of two pairs, of both halves together.
        let sevens = bytes & (ends ^ (ends - 1)) & !CONTINUES;
        let pairs = sevens & 0x007f_007f_007f_007f | (sevens & 0x7f00_7f00_7f00_7f00) >> 1;
        let fours = pairs & 0x0000_3fff_0000_3fff | (pairs & 0x3fff_0000_3fff_0000) >> 2;
        let number = fours & 0x0fff_ffff | (fours & 0x0fff_ffff_0000_0000) >> 4;
        self.0 = &self.0[ends.trailing_zeros() as usize / 8 + 1..];
        Some(number)
    }

    /// A number of 32 bits. Postcard takes no more than five bytes for one, even if it is 0.
    #[inline(always)]
    fn small(&mut self) -> Option<u32> {
        let before = self.0.len();
        let number = self.number()?;
        if before - self.0.len() > SMALL_BYTES { None } else { u32::try_from(number).ok() }
    }

    /// Bytes of which there are always as many; postcard says how many all the same.
    #[inline(always)]
    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        if usize::from(self.byte()?) != N {
            return None;
        }
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    #[inline(always)]
    fn signed<T>(&mut self, message: impl FnOnce(&mut Self) -> Option<T>) -> Option<Signed<T>> {
        Some(Signed {
            message: message(self)?,
            signature: Signature { r: self.bytes()?, vs: self.bytes()? },
            signer: Address::new(self.bytes()?),
        })
    }

    #[inline(always)]
    fn order(&mut self) -> Option<Order> {
        Some(Order {
            account: AccountId(self.number()?),
            market: MarketId(self.small()?),
            side: match self.byte()? {
                0 => Side::Buy,
                1 => Side::Sell,
                _ => return None,
            },
            kind: match self.byte()? {
                0 => OrderKind::GoodTillCancelled,
                1 => OrderKind::ImmediateOrCancel,
                2 => OrderKind::FillOrKill,
                3 => OrderKind::PostOnly,
                _ => return None,
            },
            reduce_only: match self.byte()? {
                0 => false,
                1 => true,
                _ => return None,
            },
            size: Lots(self.number()?),
            price: Ticks(self.number()?),
            nonce: Nonce(self.number()?),
            expiry: TimeMs(self.number()?),
            max_fee: Ppm(self.small()?),
            builder: self.small()?,
            builder_fee: Ppm(self.small()?),
        })
    }

    #[inline(always)]
    fn cancel(&mut self) -> Option<Cancel> {
        Some(Cancel { account: AccountId(self.number()?), nonce: Nonce(self.number()?) })
    }

    #[inline(always)]
    fn instructions(&mut self) -> Option<Instructions> {
        let self_trade = match self.byte()? {
            0 => SelfTrade::CancelMaker,
            1 => SelfTrade::CancelTaker,
            2 => SelfTrade::CancelBoth,
            3 => SelfTrade::Decrement,
            _ => return None,
        };
        let crossing = match self.byte()? {
            0 => Crossing::Refuse,
            1 => Crossing::Slide,
            _ => return None,
        };
        Some(Instructions { self_trade, crossing })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ORDER: Order = Order {
        account: AccountId(1 << 20),
        market: MarketId(0x12_3456),
        side: Side::Sell,
        kind: OrderKind::PostOnly,
        reduce_only: false,
        size: Lots(1_000),
        price: Ticks(50_000),
        nonce: Nonce(1_790_000_000_000),
        expiry: TimeMs(1_790_000_000_000),
        max_fee: Ppm(500),
        builder: 7,
        builder_fee: Ppm(10),
    };

    /// Numbers of every length.
    fn number() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0u32..64).prop_map(|(number, shift)| number >> shift)
    }

    fn small() -> impl Strategy<Value = u32> {
        (any::<u32>(), 0u32..32).prop_map(|(number, shift)| number >> shift)
    }

    fn signed<T>((message, r, vs, signer): (T, [u8; 32], [u8; 32], [u8; 20])) -> Signed<T> {
        Signed { message, signature: Signature { r, vs }, signer: signer.into() }
    }

    fn order() -> impl Strategy<Value = Order> {
        let kinds =
            [OrderKind::GoodTillCancelled, OrderKind::ImmediateOrCancel, OrderKind::FillOrKill, OrderKind::PostOnly];
        let who = (number(), small(), any::<bool>(), prop::sample::select(kinds.to_vec()), any::<bool>());
        let what = (number(), number(), number(), number());
        (who, what, (small(), small(), small())).prop_map(|(who, what, fees)| {
            let ((account, market, buys, kind, reduce_only), (size, price, nonce, expiry)) = (who, what);
            let (max_fee, builder, builder_fee) = fees;
            Order {
                account: AccountId(account),
                market: MarketId(market),
                side: if buys { Side::Buy } else { Side::Sell },
                kind,
                reduce_only,
                size: Lots(size),
                price: Ticks(price),
                nonce: Nonce(nonce),
                expiry: TimeMs(expiry),
                max_fee: Ppm(max_fee),
                builder,
                builder_fee: Ppm(builder_fee),
            }
        })
    }

    fn command() -> impl Strategy<Value = Command> {
        let order = || (order(), any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 20]>()).prop_map(signed);
        let self_trade = [SelfTrade::CancelMaker, SelfTrade::CancelTaker, SelfTrade::CancelBoth, SelfTrade::Decrement];
        let instructions = || {
            (prop::sample::select(self_trade.to_vec()), any::<bool>()).prop_map(|(self_trade, slides)| Instructions {
                self_trade,
                crossing: if slides { Crossing::Slide } else { Crossing::Refuse },
            })
        };
        let cancel = (number(), number())
            .prop_map(|(account, nonce)| Cancel { account: AccountId(account), nonce: Nonce(nonce) });
        let cancel = (cancel, any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 20]>()).prop_map(signed);
        prop_oneof![
            (order(), instructions()).prop_map(|(order, instructions)| Command::Place { order, instructions }),
            (number(), order(), instructions()).prop_map(|(nonce, order, instructions)| {
                Command::Replace { nonce: Nonce(nonce), order, instructions }
            }),
            cancel.prop_map(Command::Cancel),
            number().prop_map(|time| Command::Window { time: TimeMs(time) }),
        ]
    }

    /// Whether the decoder had something to say.
    fn agrees_with_postcard(log: &[u8]) -> bool {
        let mut command = Command::Window { time: TimeMs(7) };
        let Some(rest) = take_common(log, &mut command) else {
            assert_eq!(command, Command::Window { time: TimeMs(7) }, "then nothing has changed");
            return false;
        };
        assert_eq!(Some((command, rest)), postcard::take_from_bytes(log).ok());
        true
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_postcard_writes_is_read_back(command in command(), behind in prop::collection::vec(any::<u8>(), 0..20)) {
            let mut log = postcard::to_allocvec(&command).unwrap();
            log.extend(behind);
            agrees_with_postcard(&log);
        }

        #[test]
        fn what_was_damaged_or_cut_off_is_read_as_postcard_reads_it(
            command in command(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
            end in any::<prop::sample::Index>(),
        ) {
            let mut log = postcard::to_allocvec(&command).unwrap();
            log.extend([0; 9]);
            for (place, byte) in changes {
                let place = place.index(log.len());
                log[place] = byte;
            }
            let end = end.index(log.len() + 1);
            agrees_with_postcard(&log);
            agrees_with_postcard(&log[..end]);
        }
    }

    #[test]
    fn numbers_that_are_longer_than_they_need_be_are_read_as_postcard_reads_them() {
        let order = signed((ORDER, [0xa5; 32], [0x5a; 32], [0xff; 20]));
        let log = postcard::to_allocvec(&Command::place(order)).unwrap();
        // Each byte of the order is the end of a number, or of a part of one, that may be stretched by zeros.
        let stretched = (1..30).flat_map(|place| (0..12).map(move |zeros| (place, zeros)));
        for (place, zeros) in stretched.filter(|(place, _)| log[*place] & 0x80 == 0) {
            let mut longer = log[..place].to_vec();
            longer.push(log[place] | 0x80);
            longer.extend(std::iter::repeat_n(0x80, zeros));
            longer.push(0);
            longer.extend(&log[place + 1..]);
            agrees_with_postcard(&longer);
        }
    }

    #[test]
    fn a_usual_command_is_not_left_to_postcard() {
        let order = signed((ORDER, [0xa5; 32], [0x5a; 32], [0xff; 20]));
        let cancel = Cancel { account: AccountId(3), nonce: Nonce(5) };
        let commands = [
            Command::place(order),
            Command::Replace { nonce: Nonce(1), order, instructions: Instructions::default() },
            Command::Cancel(signed((cancel, [0xa5; 32], [0x5a; 32], [0xff; 20]))),
        ];
        for command in commands {
            let log = postcard::to_allocvec(&command).unwrap();
            assert!(agrees_with_postcard(&log), "{command:?}");
        }
    }
}
