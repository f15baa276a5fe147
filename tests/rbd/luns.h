// SPDX-License-Identifier: Apache-2.0
// LUNs on images, as the tests make, use and refuse them; and the process that plays an owner.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/ring/support.h"

namespace ballast::rbd_test {

inline constexpr unsigned good = 0x00;
inline constexpr unsigned check_condition = 0x02;
inline constexpr unsigned busy = 0x08;
inline constexpr std::size_t mib = std::size_t{1} << 20;

void make_image(const std::string& name, std::size_t mibs = 64);
ring_test::LunOptions sized(std::size_t mibs);
ring_test::Answer write(ring_test::Lun& lun, std::uint64_t lba, std::vector<std::byte>& data);
// It must be GOOD.
std::vector<std::byte> read(ring_test::Lun& lun, std::uint64_t lba, std::size_t bytes);
// The answer to a write for which there is no room: SPACE ALLOCATION FAILED.
void assert_no_room(const ring_test::Answer& answer);

// Adds a LUN, and waits until it is ready. Null: it is refused, or not ready in time; the log is
// printed.
std::unique_ptr<ring_test::Lun> open_lun(const std::string& string,
                                         const ring_test::LunOptions& options = {});

// Adds a LUN, whose opening must fail, and looks for all `words` in the log. On a busy machine the
// LUN may be there before it is refused.
void expect_refused(const std::string& string, std::initializer_list<const char*> words,
                    std::size_t mibs = 64);

// Puts a label on the image that says that it is old without the log /fast/vol0.log on gate-1, as
// the owner's write log does; or takes the label away.
void put_label(const std::string& image);
void remove_label(const std::string& image);

// Plays the process that owns an image: opens it, says "open", and waits for its end.
[[noreturn]] void own_until_killed(const std::string& string);

// Makes as many takeovers as the environment's TAKEOVERS says, or `usual`. Each gets the byte that
// its new owner writes, and returns how many late writes there were. There must be none.
void expect_no_late_write(
    unsigned long usual,
    const std::function<std::size_t(std::byte writer, std::mt19937_64& random)>& take_over);

}  // namespace ballast::rbd_test
