// SPDX-License-Identifier: Apache-2.0
// Small files that are whole or absent, whenever the machine dies.
//
// replace_file() writes another file, makes that durable and renames it. The file system may hang,
// so a file may be written late; it never takes the place of one that was decided later. These
// calls block: make them in an errand (errand.h). Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/base/result.h"

namespace ballast {

// The place of a file's content among all that this process writes. Take it when the content is
// decided, and not when an errand comes to write it.
std::uint64_t next_turn();

// Gives folder/name the content `text`, durably. Makes the folder if it is missing. Does nothing if
// a content with a later turn was written there.
Result<void> replace_file(const std::string& folder, const std::string& name,
                          const std::string& text, std::uint64_t turn);

// Reads the file, up to `most` bytes. ENOENT: there is none.
Result<std::string> read_small_file(const std::string& path, std::size_t most);

}  // namespace ballast
