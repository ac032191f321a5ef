//! Deployment files, good and bad.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use xos_chain::{ChainError, Deployment};
use xos_types::GroupTerms;

fn load(text: &str) -> Result<Deployment, ChainError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("31337.json");
    std::fs::write(&path, text).unwrap();
    Deployment::load(&path)
}

const GOOD: &str = r#"{
  "block": 1,
  "chainId": 31337,
  "deployer": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
  "escapeHatch": "0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0",
  "gateway": "0xCf7Ed3AccA5a467e9e704C703E8D87F634fB0Fc9",
  "governance": "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
  "grace": 5000,
  "group": "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
  "keeperShare": 500000,
  "maxHoldings": 16,
  "sequencer": "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
  "token": "0x5FbDB2315678afecb367f032d93F642f64180aa3"
}"#;

#[test]
fn what_the_deploy_script_writes_is_read() {
    let deployment = load(GOOD).unwrap();
    assert_eq!((deployment.chain_id, deployment.block), (31_337, 1));
    assert_eq!(deployment.domain().group(), deployment.group);
    let group = deployment.group_config();
    assert_eq!((group.token, group.governance), (deployment.token, deployment.governance));
    assert_eq!(group.terms, GroupTerms::usual(deployment.sequencer));
}

#[test]
fn a_bad_file_is_named_with_its_fault() {
    let missing = Deployment::load(Path::new("deployments/none.json")).unwrap_err().to_string();
    assert!(missing.contains("deployments/none.json") && missing.contains("deploy first"), "{missing}");
    let broken = load("{").unwrap_err().to_string();
    assert!(broken.contains("31337.json"), "{broken}");
    let incomplete = load(&GOOD.replace("\"token\"", "\"tocken\"")).unwrap_err().to_string();
    assert!(incomplete.contains("missing field `token`"), "{incomplete}");
    let zero =
        load(&GOOD.replace("e7f1725E7734CE288F8367e1Bb143E90bb3F0512", &"0".repeat(40))).unwrap_err().to_string();
    assert!(zero.contains("`group` is the zero address"), "{zero}");
}
