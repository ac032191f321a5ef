// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Test} from "forge-std/Test.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {AllOfRule} from "../../contracts/compliance/AllOfRule.sol";
import {AllowListRule} from "../../contracts/compliance/AllowListRule.sol";
import {AttestationRule} from "../../contracts/compliance/AttestationRule.sol";
import {Credential, CredentialRule} from "../../contracts/compliance/CredentialRule.sol";
import {IComplianceRule} from "../../contracts/compliance/IComplianceRule.sol";
import {Attestation} from "../../contracts/compliance/IEAS.sol";
import {ISanctionsList} from "../../contracts/compliance/ISanctionsList.sol";
import {OpenRule} from "../../contracts/compliance/OpenRule.sol";
import {RuleCall} from "../../contracts/compliance/RuleCall.sol";
import {SanctionsRule} from "../../contracts/compliance/SanctionsRule.sol";
import {EasStandIn, SanctionsStandIn} from "./StandIns.sol";
import {MoodyRule} from "./MoodyRule.sol";

/// @notice An issuer that is a contract: what its owner signed counts (ERC-1271).
contract IssuerContract {
    address private immutable owner;

    constructor(address owner_) {
        owner = owner_;
    }

    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (bytes32 r, bytes32 s, uint8 v) = abi.decode(signature, (bytes32, bytes32, uint8));
        return ecrecover(digest, v, r, s) == owner ? bytes4(0x1626ba7e) : bytes4(0);
    }
}

/// @notice What each rule lets pass. Each test names what is wrong one thing at a time.
contract RulesTest is Test {
    uint64 private constant ALWAYS = type(uint64).max;
    uint16 private constant SWITZERLAND = 756;
    uint16 private constant SINGAPORE = 702;
    uint16 private constant ELSEWHERE = 840;
    bytes32 private constant SCHEMA = keccak256("schema");
    bytes32 private constant UID = keccak256("uid");

    address private alice = makeAddr("alice");
    address private bob = makeAddr("bob");
    address private issuer;
    uint256 private issuerKey;
    CredentialRule private credentials;

    function setUp() public {
        vm.warp(1_781_000_000);
        (issuer, issuerKey) = makeAddrAndKey("issuer");
        credentials = new CredentialRule(issuer, jurisdictions(), 2);
    }

    function jurisdictions() private pure returns (uint16[] memory list) {
        list = new uint16[](2);
        (list[0], list[1]) = (SWITZERLAND, SINGAPORE);
    }

    function credential() private view returns (Credential memory) {
        return Credential({
            subject: alice,
            jurisdiction: SWITZERLAND,
            tier: 2,
            expiry: uint64(vm.getBlockTimestamp()) + 30 days,
            number: 7
        });
    }

    function evidenceOf(Credential memory about, uint256 key) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, credentials.hashCredential(about));
        return abi.encode(about, abi.encodePacked(r, s, v));
    }

    // ----------------------------------------------------------------- open, allow-list

    function testFuzz_an_open_rule_lets_everybody_pass(address subject) public {
        assertEq(new OpenRule().passesUntil(subject, ""), ALWAYS);
        assertEq(new OpenRule().passesUntil(subject, "x"), 0, "nothing is nothing");
    }

    function testFuzz_who_is_on_the_list_passes_until_the_date(address subject, address other, uint64 until) public {
        vm.assume(subject != other);
        AllowListRule rule = new AllowListRule(issuer);
        address[] memory subjects = new address[](1);
        subjects[0] = subject;
        vm.prank(issuer);
        rule.list(subjects, until);
        assertEq(rule.passesUntil(subject, ""), until);
        assertEq(rule.passesUntil(other, ""), 0);
        vm.prank(issuer);
        rule.list(subjects, 0);
        assertEq(rule.passesUntil(subject, ""), 0);
    }

    function test_only_its_owner_writes_a_list_and_hands_it_over_in_two_steps() public {
        AllowListRule rule = new AllowListRule(issuer);
        vm.prank(bob);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, bob));
        rule.list(new address[](1), ALWAYS);
        vm.prank(issuer);
        rule.transferOwnership(bob);
        vm.prank(issuer);
        rule.list(new address[](1), ALWAYS);
        vm.prank(bob);
        rule.acceptOwnership();
        vm.prank(issuer);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, issuer));
        rule.list(new address[](1), ALWAYS);
    }

    // ----------------------------------------------------------------- credentials

    function test_a_credential_lets_its_subject_pass_until_it_expires() public view {
        assertEq(credentials.passesUntil(alice, evidenceOf(credential(), issuerKey)), credential().expiry);
    }

    function test_a_credential_is_hashed_as_eip_712_says() public view {
        Credential memory about = credential();
        bytes32 separator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Exchange OS Credentials"),
                keccak256("1"),
                block.chainid,
                address(credentials)
            )
        );
        bytes32 body = keccak256(
            abi.encode(
                keccak256("Credential(address subject,uint16 jurisdiction,uint8 tier,uint64 expiry,uint64 number)"),
                about
            )
        );
        assertEq(credentials.hashCredential(about), keccak256(abi.encodePacked(hex"1901", separator, body)));
    }

    function test_a_credential_of_somebody_else_lets_nobody_pass() public view {
        assertEq(credentials.passesUntil(bob, evidenceOf(credential(), issuerKey)), 0);
    }

    function testFuzz_a_jurisdiction_that_was_not_named_does_not_pass(uint16 jurisdiction) public view {
        Credential memory about = credential();
        about.jurisdiction = jurisdiction;
        bool named = jurisdiction == SWITZERLAND || jurisdiction == SINGAPORE;
        assertEq(credentials.passesUntil(alice, evidenceOf(about, issuerKey)), named ? about.expiry : 0);
        assertEq(credentials.admits(jurisdiction), named);
    }

    function testFuzz_a_tier_below_the_least_does_not_pass(uint8 tier) public view {
        Credential memory about = credential();
        about.tier = tier;
        assertEq(credentials.passesUntil(alice, evidenceOf(about, issuerKey)), tier < 2 ? 0 : about.expiry);
    }

    function testFuzz_what_the_issuer_did_not_sign_is_no_credential(uint256 key, uint8 field) public view {
        key = bound(key, 1, 1e30);
        vm.assume(key != issuerKey);
        Credential memory about = credential();
        assertEq(credentials.passesUntil(alice, evidenceOf(about, key)), 0, "another key");
        (, bytes memory signature) = abi.decode(evidenceOf(about, issuerKey), (Credential, bytes));
        field %= 4;
        if (field == 0) about.expiry += 1;
        else if (field == 1) about.number += 1;
        else if (field == 2) about.tier += 1;
        else about.jurisdiction = SINGAPORE;
        assertEq(credentials.passesUntil(alice, abi.encode(about, signature)), 0, "another text");
        about = credential();
        about.subject = bob;
        assertEq(credentials.passesUntil(bob, abi.encode(about, signature)), 0, "another subject");
    }

    function test_a_credential_for_another_rule_or_chain_is_none() public {
        bytes memory evidence = evidenceOf(credential(), issuerKey);
        CredentialRule twin = new CredentialRule(issuer, jurisdictions(), 2);
        assertEq(twin.passesUntil(alice, evidence), 0);
        vm.chainId(block.chainid + 1);
        assertEq(credentials.passesUntil(alice, evidence), 0);
    }

    function test_a_revoked_credential_lets_nobody_pass_and_others_stay() public {
        bytes memory evidence = evidenceOf(credential(), issuerKey);
        Credential memory other = credential();
        other.number = 8;
        vm.prank(issuer);
        credentials.revoke(7);
        assertEq(credentials.passesUntil(alice, evidence), 0);
        assertEq(credentials.passesUntil(alice, evidenceOf(other, issuerKey)), other.expiry);
    }

    function testFuzz_a_floor_revokes_all_below_it(uint64 floor, uint64 number) public {
        floor = uint64(bound(floor, 1, type(uint64).max));
        vm.prank(issuer);
        credentials.raiseFloor(floor);
        Credential memory about = credential();
        about.number = number;
        uint64 until = credentials.passesUntil(alice, evidenceOf(about, issuerKey));
        assertEq(until, number < floor ? 0 : about.expiry);
        vm.prank(issuer);
        vm.expectRevert(abi.encodeWithSelector(CredentialRule.FloorNotRaised.selector, floor, floor));
        credentials.raiseFloor(floor);
    }

    function test_only_the_issuer_revokes() public {
        vm.startPrank(bob);
        vm.expectRevert(abi.encodeWithSelector(CredentialRule.NotIssuer.selector, bob, issuer));
        credentials.revoke(7);
        vm.expectRevert(abi.encodeWithSelector(CredentialRule.NotIssuer.selector, bob, issuer));
        credentials.raiseFloor(9);
        vm.stopPrank();
        vm.expectRevert(CredentialRule.ZeroAddress.selector);
        new CredentialRule(address(0), jurisdictions(), 0);
    }

    function test_an_issuer_may_be_a_contract() public {
        credentials = new CredentialRule(address(new IssuerContract(issuer)), jurisdictions(), 2);
        Credential memory about = credential();
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(issuerKey, credentials.hashCredential(about));
        assertEq(credentials.passesUntil(alice, abi.encode(about, abi.encode(r, s, v))), about.expiry);
        about.number += 1;
        assertEq(credentials.passesUntil(alice, abi.encode(about, abi.encode(r, s, v))), 0);
    }

    // ----------------------------------------------------------------- attestations

    function attestation() private view returns (Attestation memory made) {
        (made.uid, made.schema, made.recipient, made.attester) = (UID, SCHEMA, alice, issuer);
        made.expirationTime = uint64(vm.getBlockTimestamp()) + 30 days;
    }

    function test_an_attestation_lets_its_recipient_pass_until_it_expires() public {
        EasStandIn eas = new EasStandIn();
        AttestationRule rule = new AttestationRule(eas, issuer, SCHEMA);
        bytes memory evidence = abi.encode(UID);
        assertEq(rule.passesUntil(alice, evidence), 0, "not made yet");
        Attestation memory made = attestation();
        eas.attest(made);
        assertEq(rule.passesUntil(alice, evidence), made.expirationTime);
        assertEq(rule.passesUntil(bob, evidence), 0, "another recipient");
        made.expirationTime = 0;
        eas.attest(made);
        assertEq(rule.passesUntil(alice, evidence), ALWAYS);
        made.revocationTime = 1;
        eas.attest(made);
        assertEq(rule.passesUntil(alice, evidence), 0, "revoked");
    }

    function test_another_attester_or_schema_is_no_attestation() public {
        EasStandIn eas = new EasStandIn();
        AttestationRule rule = new AttestationRule(eas, issuer, SCHEMA);
        Attestation memory made = attestation();
        made.attester = bob;
        eas.attest(made);
        assertEq(rule.passesUntil(alice, abi.encode(UID)), 0);
        made = attestation();
        made.schema = keccak256("another");
        eas.attest(made);
        assertEq(rule.passesUntil(alice, abi.encode(UID)), 0);
        assertEq(rule.passesUntil(address(0), abi.encode(bytes32(0))), 0, "nothing is no attestation");
        vm.expectRevert(AttestationRule.ZeroAddress.selector);
        new AttestationRule(eas, address(0), SCHEMA);
        vm.expectRevert(AttestationRule.ZeroAddress.selector);
        new AttestationRule(eas, issuer, 0);
    }

    // ----------------------------------------------------------------- sanctions

    function test_whoever_is_on_a_sanctions_list_does_not_pass() public {
        SanctionsStandIn list = new SanctionsStandIn();
        SanctionsRule rule = new SanctionsRule(list);
        assertEq(rule.passesUntil(alice, ""), ALWAYS);
        list.sanction(alice, true);
        assertEq(rule.passesUntil(alice, ""), 0);
        assertEq(rule.passesUntil(bob, ""), ALWAYS);
        list.sanction(alice, false);
        assertEq(rule.passesUntil(alice, ""), ALWAYS);
    }

    function test_a_sanctions_list_that_is_not_there_lets_nobody_pass() public {
        SanctionsRule rule = new SanctionsRule(ISanctionsList(makeAddr("nothing")));
        assertEq(RuleCall.ask(rule, alice, "", RuleCall.GAS), 0);
        vm.expectRevert(SanctionsRule.ZeroAddress.selector);
        new SanctionsRule(ISanctionsList(address(0)));
    }

    // ----------------------------------------------------------------- all of several

    function allOf(IComplianceRule first, IComplianceRule second) private returns (AllOfRule) {
        IComplianceRule[] memory rules = new IComplianceRule[](2);
        (rules[0], rules[1]) = (first, second);
        return new AllOfRule(rules);
    }

    function testFuzz_who_passes_all_passes_until_the_first_says_no_more(uint64 one, uint64 two) public {
        (MoodyRule first, MoodyRule second) = (new MoodyRule(), new MoodyRule());
        AllOfRule rule = allOf(first, second);
        first.say(alice, one);
        second.say(alice, two);
        bytes memory evidence = abi.encode(new bytes[](2));
        assertEq(rule.passesUntil(alice, evidence), one < two ? one : two);
        assertEq(RuleCall.ask(rule, alice, evidence, RuleCall.GAS), one < two ? one : two);
    }

    function test_each_rule_has_its_own_evidence() public {
        SanctionsStandIn list = new SanctionsStandIn();
        AllOfRule rule = allOf(new SanctionsRule(list), credentials);
        bytes[] memory parts = new bytes[](2);
        parts[1] = evidenceOf(credential(), issuerKey);
        assertEq(rule.passesUntil(alice, abi.encode(parts)), credential().expiry);
        list.sanction(alice, true);
        assertEq(rule.passesUntil(alice, abi.encode(parts)), 0);
        vm.expectRevert(abi.encodeWithSelector(AllOfRule.EvidenceForEachRule.selector, 2, 1));
        rule.passesUntil(alice, abi.encode(new bytes[](1)));
    }

    function test_of_eight_rules_the_hungriest_is_let_eat_no_others_share() public {
        IComplianceRule[] memory rules = new IComplianceRule[](8);
        for (uint256 i = 0; i < 8; ++i) {
            MoodyRule each = new MoodyRule();
            // An eighth of seven eighths, less what it has spent when it looks.
            each.cost(100_000);
            rules[i] = each;
        }
        AllOfRule rule = new AllOfRule(rules);
        bytes memory evidence = abi.encode(new bytes[](8));
        assertEq(RuleCall.ask(rule, alice, evidence, RuleCall.GAS), ALWAYS);
        MoodyRule(address(rules[0])).setMood(MoodyRule.Mood.Burns);
        uint256 before = gasleft();
        assertEq(RuleCall.ask(rule, alice, evidence, RuleCall.GAS), 0);
        assertLt(before - gasleft(), 200_000, "one share burned");
        MoodyRule(address(rules[0])).cost(100_000);
        MoodyRule(address(rules[7])).setMood(MoodyRule.Mood.Burns);
        assertEq(RuleCall.ask(rule, alice, evidence, RuleCall.GAS), 0);
    }

    function test_rules_may_be_nested() public {
        AllOfRule inner = allOf(new OpenRule(), credentials);
        AllOfRule outer = allOf(new OpenRule(), inner);
        bytes[] memory parts = new bytes[](2);
        parts[1] = evidenceOf(credential(), issuerKey);
        parts[1] = abi.encode(parts);
        assertEq(RuleCall.ask(outer, alice, abi.encode(parts), RuleCall.GAS), credential().expiry);
    }

    function test_no_rules_at_all_are_no_rule() public {
        vm.expectRevert(abi.encodeWithSelector(AllOfRule.RulesOutOfBounds.selector, 0, 8));
        new AllOfRule(new IComplianceRule[](0));
        vm.expectRevert(abi.encodeWithSelector(AllOfRule.RulesOutOfBounds.selector, 9, 8));
        new AllOfRule(new IComplianceRule[](9));
        vm.expectRevert(AllOfRule.ZeroAddress.selector);
        new AllOfRule(new IComplianceRule[](1));
    }

    // ----------------------------------------------------------------- whatever comes

    /// @dev Garbage is a no by every rule that wants evidence, as it is asked: in bounded gas.
    function testFuzz_garbage_convinces_no_rule(bytes calldata evidence) public {
        EasStandIn eas = new EasStandIn();
        eas.attest(attestation());
        vm.assume(keccak256(evidence) != keccak256(abi.encode(UID)));
        AttestationRule attested = new AttestationRule(eas, issuer, SCHEMA);
        assertEq(RuleCall.ask(credentials, alice, evidence, RuleCall.GAS), 0);
        assertEq(RuleCall.ask(allOf(new OpenRule(), credentials), alice, evidence, RuleCall.GAS), 0);
        assertEq(RuleCall.ask(attested, alice, evidence, RuleCall.GAS), 0);
    }
}
