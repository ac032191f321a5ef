// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {VenueConfig, VenueId} from "../group/Types.sol";

/// @notice A venue's number in the registry, from 1 and the same for all groups; its group knows it by a `VenueId`.
type VenueNumber is uint32;
/// @notice A risk group's number in the registry, from 1.
type GroupNumber is uint32;

/// @notice What a new risk group is made with.
/// @param inboxDeadline How long an inbox item may wait before anyone may freeze the group, in milliseconds; for good.
/// @param requestFee What a forced request costs while the inbox is empty, in wei; for good.
/// @param maxHoldings,keeperShare,grace As in `GroupTerms`; the sequencer is the protocol's.
struct GroupSpec {
    address settlementToken;
    uint64 inboxDeadline;
    uint96 requestFee;
    uint8 maxHoldings;
    uint24 keeperShare;
    uint32 grace;
}

/// @notice What a Venue XIP asks for.
/// @param group A group of the deployer's own, or 0 for a new one made by `spec`.
/// @param registrar Who decides who is a member: a compliance rule, or a key; zero where everybody may trade.
/// @param metadata Where name, pictures and rules of the venue are, for people.
struct VenueRequest {
    GroupNumber group;
    GroupSpec spec;
    address registrar;
    VenueConfig config;
    string metadata;
}

/// @notice A risk group and its contracts.
/// @param steward The deployer whose own group it is; zero for a shared one, which XIPs look after.
/// @param simulated Whether it deals in tokens without value.
struct Group {
    address group;
    address gateway;
    address escapeHatch;
    address steward;
    bool simulated;
}

/// @param id What its group calls it.
struct Venue {
    GroupNumber group;
    VenueId id;
    address deployer;
    address registrar;
    bool open;
}
