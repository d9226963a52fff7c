package replica

import (
	_ "github.com/benbjohnson/litestream"
	_ "github.com/benbjohnson/litestream/file"
	_ "github.com/benbjohnson/litestream/s3"
	_ "github.com/aws/aws-sdk-go-v2/service/s3"
	_ "github.com/superfly/ltx"
)
