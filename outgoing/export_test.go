package outgoing

import "crypto/x509"

// Trust makes m believe the certificates that these have signed, and no others.
func (m *Mailer) Trust(roots *x509.CertPool) { m.secure.RootCAs = roots }
