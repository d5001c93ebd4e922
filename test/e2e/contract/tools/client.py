"""A client that is typed by the generated package alone."""

import json
import sys

from generated.api.views import read_product
from generated.api.writes import put_product
from generated.client import AuthenticatedClient
from generated.models import PutProductBody, ReadProductResponse200

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2])
body = PutProductBody(description="Typed by the document", unit_price=3.5)
written = put_product.sync_detailed("10001A", client=client, body=body)
read = read_product.sync("10001A", client=client, millrace_token=written.headers["millrace-token"])
if not isinstance(read, ReadProductResponse200):
    raise SystemExit(f"The product was not read: {read}")
print(json.dumps({"description": read.description, "unitPrice": read.unit_price}))
