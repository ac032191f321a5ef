// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorPreventLateQuorum} from "@openzeppelin/contracts/governance/extensions/GovernorPreventLateQuorum.sol";
import {GovernorStorage} from "@openzeppelin/contracts/governance/extensions/GovernorStorage.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {isPast} from "./Deadlines.sol";
import {IXipActions, XipKind} from "./IXipActions.sol";
import {IXipProcedure, XipRegistry} from "./XipRegistry.sol";
import {IQueueDelay, XipTimelock} from "./XipTimelock.sol";
import {Category, Procedure, XipNumber, XipStatus} from "./XipTypes.sol";

/// @title The vote on Standards XIPs
/// @notice A XIP is a kind and that kind's payload; the governor builds the call itself. Its life:
///
/// `draft` numbers it → `submit` puts down the deposit and begins the review → staked OKB votes (`castVote`) → `queue` →
/// the category's delay → `execute`. Each step but the first two is anyone's. `settleDeposit` ends it: the deposit goes
/// back to the author unless the vote was a veto, that is, the XIP was voted down at its quorum and more than a third of all votes
/// were against it with `VETO`.
///
/// A XIP keeps the procedure that was its category's when it was submitted.
contract XipGovernor is
    GovernorVotes,
    GovernorCountingSimple,
    GovernorStorage,
    GovernorPreventLateQuorum,
    GovernorTimelockControl,
    IXipProcedure,
    IQueueDelay
{
    using SafeCast for uint256;
    using SafeERC20 for IERC20;

    /// @notice Params of a vote against that is a veto, too: `castVoteWithReasonAndParams(id, 0, reason, VETO)`.
    bytes public constant VETO = "veto";
    /// @notice How long a draft can be submitted, a success queued, and what has waited be executed.
    uint256 public constant DRAFT_LIFE = 60 days;
    uint256 public constant QUEUE_LIFE = 14 days;
    uint256 public constant EXECUTION_LIFE = 14 days;
    /// @notice A vote stays open so long after its quorum is reached.
    uint48 public constant LATE_QUORUM_EXTENSION = 1 days;
    uint256 private constant PPM = 1_000_000;

    struct Xip {
        address author;
        uint64 drafted;
        XipKind kind;
        Category category;
        bool withdrawn;
        bool revoked;
        bool depositSettled;
        bytes32 content;
        uint256 proposalId;
        Procedure procedure;
    }

    IERC20 public immutable okb;
    XipRegistry public immutable xips;
    IXipActions public immutable actions;

    Procedure[4] private _procedures;
    mapping(XipNumber => Xip) private _xips;
    mapping(uint256 proposalId => XipNumber) public numberOf;
    mapping(uint256 proposalId => uint256) public vetoes;
    /// @dev The XIP whose procedure holds for what is being done in this moment.
    XipNumber private transient _current;

    event Drafted(
        XipNumber indexed number,
        XipKind indexed kind,
        Category indexed category,
        address author,
        bytes payload,
        string uri
    );
    event Submitted(XipNumber indexed number, uint256 indexed proposalId);
    event DraftWithdrawn(XipNumber indexed number);
    event DepositSettled(XipNumber indexed number, address indexed to, uint256 amount);
    event ProcedureSet(Category indexed category, Procedure procedure);

    error UntypedProposal();
    error NotAuthor(XipNumber number, address caller, address author);
    error WrongStatus(XipNumber number, XipStatus status);
    error WrongContent(XipNumber number);
    error NotFinal(XipNumber number, XipStatus status);
    error DepositAlreadySettled(XipNumber number);
    error ProcedureOutOfRange(Category category, bytes32 field);

    constructor(
        IVotes stake,
        XipTimelock timelock_,
        IERC20 okb_,
        XipRegistry xips_,
        IXipActions actions_,
        Procedure[4] memory procedures
    )
        Governor("Exchange OS XIPs")
        GovernorVotes(stake)
        GovernorPreventLateQuorum(LATE_QUORUM_EXTENSION)
        GovernorTimelockControl(timelock_)
    {
        (okb, xips, actions) = (okb_, xips_, actions_);
        for (uint8 category = 0; category < 4; ++category) {
            _setProcedure(Category(category), procedures[category]);
        }
    }

    // ----------------------------------------------------------------- a XIP's life

    /// @notice Numbers and publishes a XIP, whose payload must be one of its kind.
    /// @param uri Where its text is: summary, motivation, specification, security considerations.
    /// @dev The registry of XIPs is ours, and calls nobody.
    // slither-disable-next-line reentrancy-benign,reentrancy-events
    function draft(XipKind kind, bytes calldata payload, string calldata uri) external returns (XipNumber number) {
        (Category category,,) = actions.build(kind, payload);
        bytes32 content = keccak256(abi.encode(kind, payload, uri));
        number = xips.file(msg.sender, content, uri);
        Xip storage xip = _xips[number];
        (xip.author, xip.drafted, xip.kind) = (msg.sender, block.timestamp.toUint64(), kind);
        (xip.category, xip.content) = (category, content);
        emit Drafted(number, kind, category, msg.sender, payload, uri);
    }

    /// @notice Puts down the deposit and begins the review, on the draft's content and no other. Its author only, who has
    /// votes of the category's threshold.
    function submit(XipNumber number, bytes calldata payload, string calldata uri)
        external
        returns (uint256 proposalId)
    {
        Xip storage xip = _ownDraft(number);
        if (keccak256(abi.encode(xip.kind, payload, uri)) != xip.content) revert WrongContent(number);
        Procedure memory procedure = _procedures[uint8(xip.category)];
        xip.procedure = procedure;
        _current = number;
        _requireThreshold(msg.sender);
        proposalId = _submit(number, xip.kind, payload, uri);
        _current = XipNumber.wrap(0);
        xip.proposalId = proposalId;
        numberOf[proposalId] = number;
        emit Submitted(number, proposalId);
        okb.safeTransferFrom(msg.sender, address(this), procedure.deposit);
    }

    function _submit(XipNumber number, XipKind kind, bytes calldata payload, string calldata uri)
        private
        returns (uint256)
    {
        (, address target, bytes memory call) = actions.build(kind, payload);
        (address[] memory targets, bytes[] memory calls) = (new address[](1), new bytes[](1));
        (targets[0], calls[0]) = (target, call);
        // The number makes each proposal another one, whatever it does.
        string memory description = string.concat("XIP-", Strings.toString(XipNumber.unwrap(number)), " ", uri);
        return _propose(targets, new uint256[](1), calls, description, msg.sender);
    }

    /// @notice Takes a XIP back, until its vote begins. Its author only.
    function withdraw(XipNumber number) external {
        if (statusOf(number) == XipStatus.Review) {
            cancel(_xips[number].proposalId);
        } else {
            _ownDraft(number).withdrawn = true;
            emit DraftWithdrawn(number);
        }
    }

    function _ownDraft(XipNumber number) private view returns (Xip storage xip) {
        XipStatus status = statusOf(number);
        if (status != XipStatus.Draft) revert WrongStatus(number, status);
        xip = _xips[number];
        if (msg.sender != xip.author) revert NotAuthor(number, msg.sender, xip.author);
    }

    /// @notice Stops a XIP that has not been executed, whatever its state: an emergency XIP's.
    function revoke(XipNumber number) external onlyGovernance {
        Xip storage stopped = _xips[number];
        stopped.revoked = true;
        (address[] memory targets, uint256[] memory values, bytes[] memory calls, bytes32 hash) =
            proposalDetails(stopped.proposalId);
        _cancel(targets, values, calls, hash);
    }

    /// @notice Gives the deposit of a XIP that has come to its end back to its author, or to the treasury if it was vetoed.
    function settleDeposit(XipNumber number) external {
        Xip storage xip = _xips[number];
        XipStatus status = statusOf(number);
        if (status < XipStatus.Executed || xip.proposalId == 0) revert NotFinal(number, status);
        if (xip.depositSettled) revert DepositAlreadySettled(number);
        xip.depositSettled = true;
        address to = isVetoed(number) ? _executor() : xip.author;
        emit DepositSettled(number, to, xip.procedure.deposit);
        okb.safeTransfer(to, xip.procedure.deposit);
    }

    /// @notice There are no other proposals than XIPs.
    function propose(address[] memory, uint256[] memory, bytes[] memory, string memory)
        public
        pure
        override
        returns (uint256)
    {
        revert UntypedProposal();
    }

    // ----------------------------------------------------------------- procedures (constitutional XIPs only)

    /// @notice Sets a category's procedure for what is submitted from now on.
    function setProcedure(Category category, Procedure calldata procedure) external onlyGovernance {
        _setProcedure(category, procedure);
    }

    function _setProcedure(Category category, Procedure memory procedure) private {
        _requireRange(category, "threshold", procedure.threshold, 0, 50_000);
        _requireRange(category, "quorum", procedure.quorum, 20_000, 500_000);
        _requireRange(category, "approval", procedure.approval, 500_000, 900_000);
        _requireRange(category, "review", procedure.review, 1 hours, 30 days);
        _requireRange(category, "voting", procedure.voting, 1 days, 30 days);
        _requireRange(category, "delay", procedure.delay, leastDelay(category), 60 days);
        if (category == Category.Emergency || category == Category.Constitutional) {
            _requireRange(category, "approval", procedure.approval, 600_000, 900_000);
        }
        if (category == Category.Constitutional) _requireRange(category, "quorum", procedure.quorum, 100_000, 500_000);
        _procedures[uint8(category)] = procedure;
        emit ProcedureSet(category, procedure);
    }

    /// @notice The least that a category's delay can be set to. Of constitutional XIPs it is longer than anybody needs to leave
    /// any group: a forced request waits for at most three days (`ProtocolLimits.MAX_INBOX_DEADLINE`).
    function leastDelay(Category category) public pure returns (uint256) {
        if (category == Category.Emergency) return 1 hours;
        if (category == Category.Fast) return 12 hours;
        if (category == Category.Standard) return 2 days;
        return 7 days;
    }

    function _requireRange(Category category, bytes32 field, uint256 value, uint256 least, uint256 most) private pure {
        if (value < least || value > most) revert ProcedureOutOfRange(category, field);
    }

    // ----------------------------------------------------------------- views

    function xipOf(XipNumber number) external view returns (Xip memory) {
        return _xips[number];
    }

    function procedureOf(Category category) external view returns (Procedure memory) {
        return _procedures[uint8(category)];
    }

    /// @inheritdoc IXipProcedure
    function statusOf(XipNumber number) public view returns (XipStatus) {
        Xip storage asked = _xips[number];
        if (asked.author == address(0)) return XipStatus.None;
        if (asked.proposalId == 0) {
            if (asked.withdrawn) return XipStatus.Withdrawn;
            return isPast(asked.drafted + DRAFT_LIFE) ? XipStatus.Expired : XipStatus.Draft;
        }
        ProposalState reached = state(asked.proposalId);
        if (reached == ProposalState.Pending) return XipStatus.Review;
        if (reached == ProposalState.Active) return XipStatus.Voting;
        if (reached == ProposalState.Succeeded || reached == ProposalState.Queued) return XipStatus.Queued;
        if (reached == ProposalState.Executed) return XipStatus.Executed;
        if (reached == ProposalState.Expired) return XipStatus.Expired;
        if (reached == ProposalState.Canceled && !asked.revoked) return XipStatus.Withdrawn;
        return XipStatus.Rejected;
    }

    /// @notice Whether the XIP was voted down in a way that costs its deposit.
    function isVetoed(XipNumber number) public view returns (bool) {
        uint256 proposalId = _xips[number].proposalId;
        if (proposalId == 0 || state(proposalId) != ProposalState.Defeated) return false;
        (uint256 against, uint256 inFavour, uint256 abstained) = proposalVotes(proposalId);
        uint256 cast = against + inFavour + abstained;
        return cast >= _quorumOf(proposalId) && vetoes[proposalId] * 3 > cast;
    }

    /// @notice Votes that the XIP needs, for and abstaining; known once its vote has begun.
    function quorumOf(XipNumber number) external view returns (uint256) {
        return _quorumOf(_xips[number].proposalId);
    }

    /// @notice As Governor's; an action that nobody carried on in time is expired.
    function state(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (ProposalState reached)
    {
        reached = super.state(proposalId);
        if (reached == ProposalState.Succeeded && isPast(proposalDeadline(proposalId) + QUEUE_LIFE)) {
            return ProposalState.Expired;
        }
        if (reached == ProposalState.Queued && isPast(proposalEta(proposalId) + EXECUTION_LIFE)) {
            return ProposalState.Expired;
        }
    }

    /// @notice Of the XIP that is being submitted; to others, of a standard one.
    function votingDelay() public view override returns (uint256) {
        return _inForce().review;
    }

    function votingPeriod() public view override returns (uint256) {
        return _inForce().voting;
    }

    function proposalThreshold() public view override returns (uint256) {
        return token().getPastTotalSupply(clock() - 1) * _inForce().threshold / PPM;
    }

    /// @notice Quorum of a standard XIP; `quorumOf` is a XIP's own.
    function quorum(uint256 timepoint) public view override returns (uint256) {
        return _quorumAt(timepoint, _inForce().quorum);
    }

    /// @inheritdoc IQueueDelay
    function queueDelay() external view returns (uint256) {
        return _inForce().delay;
    }

    // ----------------------------------------------------------------- what differs from XIP to XIP

    function _inForce() private view returns (Procedure storage) {
        if (XipNumber.unwrap(_current) != 0) return _xips[_current].procedure;
        return _procedures[uint8(Category.Standard)];
    }

    function _quorumOf(uint256 proposalId) private view returns (uint256) {
        return _quorumAt(proposalSnapshot(proposalId), _xips[numberOf[proposalId]].procedure.quorum);
    }

    /// @dev Rounded up: a vote more is asked for rather than a part of one less.
    function _quorumAt(uint256 timepoint, uint256 share) private view returns (uint256) {
        return (token().getPastTotalSupply(timepoint) * share + PPM - 1) / PPM;
    }

    function _requireThreshold(address author) private view {
        (uint256 needed, uint256 votes) = (proposalThreshold(), getVotes(author, clock() - 1));
        if (votes < needed) revert GovernorInsufficientProposerVotes(author, votes, needed);
    }

    // slither-disable-next-line dead-code
    function _quorumReached(uint256 proposalId)
        internal
        view
        override(Governor, GovernorCountingSimple)
        returns (bool)
    {
        (, uint256 inFavour, uint256 abstained) = proposalVotes(proposalId);
        return inFavour + abstained >= _quorumOf(proposalId);
    }

    // slither-disable-next-line dead-code
    function _voteSucceeded(uint256 proposalId)
        internal
        view
        override(Governor, GovernorCountingSimple)
        returns (bool)
    {
        (uint256 against, uint256 inFavour,) = proposalVotes(proposalId);
        return inFavour * PPM > (inFavour + against) * _xips[numberOf[proposalId]].procedure.approval;
    }

    function _countVote(uint256 proposalId, address voter, uint8 support, uint256 weight, bytes memory params)
        internal
        override(Governor, GovernorCountingSimple)
        returns (uint256)
    {
        if (support == uint8(VoteType.Against) && keccak256(params) == keccak256(VETO)) {
            vetoes[proposalId] += weight;
        }
        return super._countVote(proposalId, voter, support, weight, params);
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calls,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48 eta) {
        _current = numberOf[proposalId];
        eta = super._queueOperations(proposalId, targets, values, calls, descriptionHash);
        _current = XipNumber.wrap(0);
    }

    // ----------------------------------------------------------------- which of Governor's extensions decides

    function _maxLateQuorumVoteExtension() internal pure override returns (uint256) {
        return LATE_QUORUM_EXTENSION;
    }

    function proposalDeadline(uint256 proposalId)
        public
        view
        override(Governor, GovernorPreventLateQuorum)
        returns (uint256)
    {
        return super.proposalDeadline(proposalId);
    }

    function proposalNeedsQueuing(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (bool)
    {
        return super.proposalNeedsQueuing(proposalId);
    }

    function _propose(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calls,
        string memory description,
        address author
    ) internal override(Governor, GovernorStorage) returns (uint256) {
        return super._propose(targets, values, calls, description, author);
    }

    function _tallyUpdated(uint256 proposalId) internal override(Governor, GovernorPreventLateQuorum) {
        super._tallyUpdated(proposalId);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calls,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calls, descriptionHash);
    }

    function _cancel(address[] memory targets, uint256[] memory values, bytes[] memory calls, bytes32 descriptionHash)
        internal
        override(Governor, GovernorTimelockControl)
        returns (uint256)
    {
        return super._cancel(targets, values, calls, descriptionHash);
    }

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }
}
