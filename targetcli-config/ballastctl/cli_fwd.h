// SPDX-License-Identifier: Apache-2.0
// For headers. CLI11 is header-only, and takes longer to compile than most files here: a source
// that adds options includes <CLI/CLI.hpp> itself.
#pragma once

namespace CLI {
class App;
}
