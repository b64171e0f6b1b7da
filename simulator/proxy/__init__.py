"""TCP proxies that stand between real programs and lose what passes through them."""
