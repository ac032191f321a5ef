// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IRiskGroup} from "./IRiskGroup.sol";
import {AccountId, EventConfig} from "./Types.sol";
import {Utf8} from "./Utf8.sol";

/// @notice What every fill of an event's markets needs to know, in one slot.
struct EventTerms {
    uint32 venue;
    uint8 outcomes;
    uint64 ticks;
    uint64 quantum;
    uint32 takerFee;
    uint32 makerFee;
    IRiskGroup.EventState state;
}

/// @param decided The resolver has spoken; the state follows when a batch consumes the item.
/// @param payouts Ticks per lot and outcome, once resolved.
struct EventRecord {
    EventTerms terms;
    AccountId treasury;
    address resolver;
    bool decided;
    uint64[] payouts;
}

/// @notice Records of events, and what a good event looks like.
library Events {
    uint256 internal constant MAX_OUTCOMES = 128;
    uint256 internal constant MAX_TICKS = 1_000_000;
    uint256 internal constant MAX_QUANTUM = 1e12;
    uint256 internal constant MAX_FEE = 100_000;

    function requireValid(EventConfig calldata config, uint64 accounts) internal pure {
        if (config.outcomes < 2 || config.outcomes > MAX_OUTCOMES) revert IRiskGroup.InvalidEventConfig("outcomes");
        if (config.labels.length != config.outcomes) revert IRiskGroup.InvalidEventConfig("labels");
        if (config.ticks < 2 || config.ticks > MAX_TICKS) revert IRiskGroup.InvalidEventConfig("ticks");
        if (config.quantum == 0 || config.quantum > MAX_QUANTUM) revert IRiskGroup.InvalidEventConfig("quantum");
        if (config.takerFee > MAX_FEE) revert IRiskGroup.InvalidEventConfig("takerFee");
        if (config.makerFee > MAX_FEE) revert IRiskGroup.InvalidEventConfig("makerFee");
        uint64 treasury = AccountId.unwrap(config.treasury);
        if (treasury == 0 || treasury > accounts) revert IRiskGroup.InvalidEventConfig("treasury");
        if (config.resolver == address(0)) revert IRiskGroup.InvalidEventConfig("resolver");
        if (!Utf8.isValid(config.title)) revert IRiskGroup.InvalidEventConfig("title");
        for (uint256 outcome = 0; outcome < config.labels.length; ++outcome) {
            if (!Utf8.isValid(config.labels[outcome])) revert IRiskGroup.InvalidEventConfig("labels");
        }
    }

    function write(EventRecord storage self, EventConfig calldata config) internal {
        self.terms = EventTerms({
            venue: config.venue,
            outcomes: config.outcomes,
            ticks: config.ticks,
            quantum: config.quantum,
            takerFee: config.takerFee,
            makerFee: config.makerFee,
            state: IRiskGroup.EventState.Pending
        });
        self.treasury = config.treasury;
        self.resolver = config.resolver;
    }

    /// @notice One payout per outcome, adding up to certainty.
    function requirePayouts(EventRecord storage self, uint64[] calldata payouts) internal view {
        uint256 sum;
        for (uint256 outcome = 0; outcome < payouts.length; ++outcome) {
            sum += payouts[outcome];
        }
        EventTerms memory terms = self.terms;
        if (payouts.length != terms.outcomes || sum != terms.ticks) {
            revert IRiskGroup.InvalidPayouts(terms.outcomes, payouts.length, terms.ticks, sum);
        }
    }

    /// @notice Atoms that a winning lot pays.
    function payoutPerLot(EventTerms memory terms) internal pure returns (int256) {
        // Both factors are uint64, so the product is below 2^128.
        return int256(uint256(terms.ticks) * terms.quantum);
    }
}
