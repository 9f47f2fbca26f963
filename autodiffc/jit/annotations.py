"""torch.jit.annotations: type comments are comments."""

BroadcastingList1 = BroadcastingList2 = BroadcastingList3 = BroadcastingList4 = list
