/** A certificate that nobody trusts, for servers of tests on this machine: far.test, registry.test, localhost, 127.0.0.1. */
export const certificate = {
    cert: `-----BEGIN CERTIFICATE-----
MIIBrDCCAVKgAwIBAgIUYDvDXp7H8fLyMnRUIsPVwZfugDIwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjEyMDEwOTM1NDdaGA8yMTI2MTEwNzA5MzU0
N1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHr3
YKlWJ8+1cXz92hKE7dLuxNY7lU67/6dX6w+ArQG10ldbLify0yt9Dez2IM+73kkA
a83RqI/e1i5BDdYuAqajgYkwgYYwHQYDVR0OBBYEFPn1TLU6ETfv99SBqn00Xbmq
ZhIEMB8GA1UdIwQYMBaAFPn1TLU6ETfv99SBqn00XbmqZhIEMA8GA1UdEwEB/wQF
MAMBAf8wMwYDVR0RBCwwKoIIZmFyLnRlc3SCCWxvY2FsaG9zdIINcmVnaXN0cnku
dGVzdIcEfwAAATAKBggqhkjOPQQDAgNIADBFAiAn1cV0nxiKwIsn60R1/oa8DVjt
X1hrTr+x1dh+pws9QQIhAPGCSq3SLcvgW24KaBFzfbK4UyWd7/pEXtc2R76ZfdN5
-----END CERTIFICATE-----
`,
    // Not a secret: it belongs to this certificate alone.
    key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1/EQ/RbXLnEvVocQ
BpPXTrD5Pc+/JtXLZr5JqHcaCXmhRANCAAR692CpVifPtXF8/doShO3S7sTWO5VO
u/+nV+sPgK0BtdJXWy4n8tMrfQ3s9iDPu95JAGvN0aiP3tYuQQ3WLgKm
-----END PRIVATE KEY-----
`,
};
