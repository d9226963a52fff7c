package auth

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
)

// seal returns text encrypted and authenticated by a key that is made of secret
// and of what it is for. Only unseal with the same three opens it.
func seal(secret []byte, purpose, text string) ([]byte, error) {
	a, err := sealer(secret, purpose)
	if err != nil {
		return nil, err
	}
	return a.Seal(nil, nil, []byte(text), nil), nil
}

// unseal returns what was sealed, or an error.
func unseal(secret []byte, purpose string, sealed []byte) (string, error) {
	a, err := sealer(secret, purpose)
	if err != nil {
		return "", err
	}
	text, err := a.Open(nil, nil, sealed, nil)
	return string(text), err
}

// sealer is AES-256 in GCM with a nonce of its own for each text, by a key that
// HKDF makes for the purpose.
func sealer(secret []byte, purpose string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret, nil, purpose, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}
