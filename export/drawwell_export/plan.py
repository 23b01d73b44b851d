"""Which convolutions of a float graph can be in integers: those that a ReLU comes right before and right after."""

import onnx
from onnx import NodeProto

_MOVES = frozenset({"Concat", "Reshape", "Transpose"})


class Plan:
    """Which Conv of a graph become integers, and which tensors share a scale."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.consumers: dict[str, list[NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)
        self.rectified: set[str] = set()
        """Tensors in which no number is below 0."""
        for node in model.graph.node:
            if node.op_type == "Relu" or (node.op_type in _MOVES and self.rectified.issuperset(_data(node))):
                self.rectified.add(node.output[0])
        self.relu = {
            node.output[0]: self.consumers[node.output[0]][0].output[0]
            for node in model.graph.node
            if node.op_type == "Conv" and node.input[0] in self.rectified and self._feeds_relu(node)
        }
        self.scale_of: dict[str, str] = {}
        """By the name of a tensor in bytes, the tensor whose values set its scale: what is concatenated has one scale."""
        for node in model.graph.node:
            self._follow(node)

    def moves_bytes(self, node: NodeProto) -> bool:
        return node.op_type in _MOVES and all(name in self.scale_of for name in _data(node))

    def observed(self) -> list[str]:
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
    """The inputs of a node that moves numbers that are the numbers, and not the shape."""
    return list(node.input if node.op_type == "Concat" else node.input[:1])
