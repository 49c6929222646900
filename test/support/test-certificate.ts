/**
 * A self-signed certificate for hooks.example.com and 127.0.0.1, valid until 2126, and its key. It
 * protects nothing. Made with:
 *
 *   openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out key.pem
 *   openssl req -x509 -new -key key.pem -days 36500 -subj '/CN=weir test receiver' \
 *     -addext 'subjectAltName=DNS:hooks.example.com,IP:127.0.0.1' -out certificate.pem
 */
export const testCertificate = `
-----BEGIN CERTIFICATE-----
MIIBtDCCAVugAwIBAgIUW9mDLIwDb4gYbqXEUVotOYGFCWEwCgYIKoZIzj0EAwIw
HTEbMBkGA1UEAwwSd2VpciB0ZXN0IHJlY2VpdmVyMCAXDTI2MTEyMzEwNTY0NloY
DzIxMjYxMDMwMTA1NjQ2WjAdMRswGQYDVQQDDBJ3ZWlyIHRlc3QgcmVjZWl2ZXIw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQRLS9dHVK4OWNKCGtrO3oapNDCGyiP
5x/WcetaAuQ39lWf2ovcdRjFs+OfRAddv4AmZjhJ4PF5HjXtdBs+3wuHo3cwdTAd
BgNVHQ4EFgQUgyzc+Bq5b4QVEos7QzsLHUPzK3swHwYDVR0jBBgwFoAUgyzc+Bq5
b4QVEos7QzsLHUPzK3swDwYDVR0TAQH/BAUwAwEB/zAiBgNVHREEGzAZghFob29r
cy5leGFtcGxlLmNvbYcEfwAAATAKBggqhkjOPQQDAgNHADBEAiA4FcjN3fpsi9xi
mVGBM6g6PDYh2+1thQ0D54JfIqYHHgIgELwrq07I30pPeTXj5dNbVjmAuqjW3Hdk
jg/gLGCytiE=
-----END CERTIFICATE-----
`

export const testCertificateKey = `
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6kJxnXbZnqp66Ljf
dA6jxelUb5IRoPdgBx/B/EdAayWhRANCAAQRLS9dHVK4OWNKCGtrO3oapNDCGyiP
5x/WcetaAuQ39lWf2ovcdRjFs+OfRAddv4AmZjhJ4PF5HjXtdBs+3wuH
-----END PRIVATE KEY-----
`
