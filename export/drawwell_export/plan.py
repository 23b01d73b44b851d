"""Which convolutions of a float graph can be in integers: those with a ReLU right before and right after them."""

import onnx
from onnx import NodeProto

_MOVES = frozenset({"Concat", "Reshape", "Transpose"})


class Plan:
    """The Conv nodes of a graph that become integers, and the tensors that share a scale."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.consumers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)
        self.rectified: set[str] = set()
        """Tensors without numbers below 0."""
        for node in model.graph.node:
            if node.op_type == "Relu" or (node.op_type in _MOVES and self.rectified.issuperset(_data(node))):
                self.rectified.add(node.output[0])
        self.relu = {
            node.output[0]: self.consumers[node.output[0]][0].output[0]
            for node in model.graph.node
            if node.op_type == "Conv" and node.input[0] in self.rectified and self._feeds_relu(node)
        }
        self.scale_of: dict[str, str] = {}
        """For each tensor in bytes, the tensor that sets its scale: tensors that are concatenated share a scale."""
        for node in model.graph.node:
            self._follow(node)

    def moves_bytes(self, node: NodeProto) -> bool:
        """Return whether ``node`` only moves numbers that are in bytes."""
        return node.op_type in _MOVES and all(name in self.scale_of for name in _data(node))

    def observed(self) -> list[str]:
        """Return the names of the tensors whose ranges calibration must find."""
        return list(dict.fromkeys(self.scale_of.values()))

    def _follow(self, node: NodeProto) -> None:
        if node.op_type == "Conv" and node.output[0] in self.relu:
            self.scale_of.setdefault(node.input[0], node.input[0])
            rectified = self.relu[node.output[0]]
            together = [user for user in self.consumers[rectified] if user.op_type == "Concat"]
            self.scale_of[rectified] = together[0].output[0] if together else rectified
        elif self.moves_bytes(node):
            self.scale_of[node.output[0]] = self.scale_of[node.input[0]]

    def _feeds_relu(self, node: NodeProto) -> bool:
        return [user.op_type for user in self.consumers.get(node.output[0], ())] == ["Relu"]


def _data(node: NodeProto) -> list[str]:
    """The inputs of a moving node that hold numbers: the other inputs are shapes."""
    return list(node.input if node.op_type == "Concat" else node.input[:1])
