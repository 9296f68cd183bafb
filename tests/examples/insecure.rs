//! A build without TLS.

use online_alter_support::csm;

use crate::harness::on_each;

#[test]
fn a_build_without_tls_says_so() {
    on_each("example_no_tls", 10, |bench| {
        for flags in [&["--ssl"][..], &["--ssl", "--ssl-cert", "c", "--ssl-key", "k"]] {
            let ended = bench.alter(flags).ends_with(2);
            assert!(ended.err.contains("features `rustls` and `native-tls`"), "{}", ended.err);
        }
        bench.assert_untouched();
        assert_eq!(bench.tables(), [csm::TABLE]);
    });
}
