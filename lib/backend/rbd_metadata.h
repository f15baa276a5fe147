// SPDX-License-Identifier: Apache-2.0
// Values of Ballast's own in the metadata of an open image. These calls block (rbd_connection.h).
//
// They are written as librbd would write them: by the method of the class rbd, on the image's
// header. librbd's own function also tells every client that watches the image, and waits for their
// answers. A gateway that has just died still watches, and would hold up each takeover for five
// seconds. Nothing but a fence (rbd_ownership.h) keeps a client that has lost the image from
// writing them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "lib/backend/rbd_connection.h"
#include "lib/base/result.h"

namespace ballast::backend {

// `longest`: of the value, in bytes; ERANGE: it is longer. Nothing: there is no such value. The
// error has no sentence.
Result<std::optional<std::string>> get_metadata(RbdConnection& connection, const char* key,
                                                std::size_t longest);
// Return 0, or a negative errno. What was set is durable.
int set_metadata(RbdConnection& connection, const char* key, const std::string& value);
int remove_metadata(RbdConnection& connection, const char* key);

}  // namespace ballast::backend
