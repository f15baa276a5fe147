// SPDX-License-Identifier: Apache-2.0
// Anatomy: how objects lie in memory, written down by the program itself, for whoever reads its
// core file without debug information (`ballastctl core`).
//
// Each room describes its own objects in its anatomy.cpp: a Type for each, with the fields that the
// reader uses, by name. Offsets are the compiler's own. A field may say what is there: another
// Type, or a pointer to one. So the reader gets from object to object, and a reader of another
// build needs no header of this one. The Root leads to the executors (lib/co/anatomy.cpp); what
// belongs to an executor is found by its landmarks (lib/co/landmark.h). So no room describes what
// is above it.
//
// All of it is in .data.rel.ro: every Type and the Root have a pointer to themselves, which the
// loader fills in. A core file has .data.rel.ro even with the kernel's default coredump_filter, and
// never .rodata; therefore names are arrays here, not pointers. The Root is found by its magic.
//
// What the reader knows by itself is the form of this table, the forms of libstdc++ (a string is a
// pointer and a length, a vector two pointers, a unique_ptr one, a source_location a pointer to
// file, function and line) and the values of enums. `format` grows when one of these changes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace ballast::anatomy {

inline constexpr std::uint32_t format = 1;
inline constexpr std::size_t most_fields = 24;
inline constexpr std::size_t longest_name = 23;

// Within libstdc++'s containers, where offsetof() does not reach: a deque's pointer to the first
// element, and the number of a map's elements.
inline constexpr std::size_t deque_first = 2 * sizeof(void*);
inline constexpr std::size_t map_size = 5 * sizeof(void*);

// The beginning of a Root; 16 bytes with the zero.
inline constexpr char magic[] = "BALLAST ANATOMY";

struct Type;

struct Field {
  const Type* type =
      nullptr;  // what is there, or what a pointer there points to; null: a plain value
  char name[longest_name + 1] = {};
  std::uint32_t offset = 0;
  std::uint32_t size = 0;  // in bytes; 0: `offset` is a constant, and nothing is there

  constexpr Field() = default;
  consteval Field(std::string_view its_name, std::size_t its_offset, std::size_t its_size,
                  const Type* its_type = nullptr)
      : type{its_type},
        offset{static_cast<std::uint32_t>(its_offset)},
        size{static_cast<std::uint32_t>(its_size)} {
    std::copy(its_name.begin(), its_name.end(), name);  // too long: this does not compile
  }
};

struct Type {
  const Type* self;
  char name[longest_name + 1] = {};
  std::uint32_t size;  // in bytes
  std::uint32_t count = 0;
  Field fields[most_fields] = {};

  constexpr Type(std::string_view its_name, std::size_t its_size,
                 std::initializer_list<Field> its_fields)
      : self{this}, size{static_cast<std::uint32_t>(its_size)} {
    std::copy(its_name.begin(), its_name.end(), name);
    for (const Field& field : its_fields) {
      fields[count++] = field;
    }
  }
  Type(const Type&) = delete;
  Type& operator=(const Type&) = delete;
};

struct Root {
  char magic[sizeof anatomy::magic] = {};
  const Root* self;
  std::uint32_t format = anatomy::format;
  std::uint32_t size = sizeof(Root);
  char version[longest_name + 1] = {};  // of the program
  const void* executors;                // the place of a pointer to the first executor
  const Type* executor;
  const void* heartbeat;  // the place of a time, in ns: it was that late at least

  constexpr Root(std::string_view its_version, const void* its_executors, const Type* its_executor,
                 const void* its_heartbeat)
      : self{this}, executors{its_executors}, executor{its_executor}, heartbeat{its_heartbeat} {
    std::copy(std::begin(anatomy::magic), std::end(anatomy::magic), magic);
    std::copy(its_version.begin(), its_version.end(), version);
  }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;
};

// The reader takes a table apart byte by byte, with these numbers.
static_assert(sizeof(Field) == 40 && offsetof(Field, name) == 8 && offsetof(Field, offset) == 32);
static_assert(offsetof(Type, name) == 8 && offsetof(Type, size) == 32 &&
              offsetof(Type, count) == 36 && offsetof(Type, fields) == 40);
static_assert(sizeof(Root) == 80 && offsetof(Root, executors) == 56);

}  // namespace ballast::anatomy

// Offset and size of a member, for Field. The classes described have bases and virtual functions;
// g++ and clang support offsetof for them, and warn.
#define BALLAST_AT(type, member) offsetof(type, member), sizeof(type::member)
#define BALLAST_BEGIN_ANATOMY \
  _Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Winvalid-offsetof\"")
#define BALLAST_END_ANATOMY _Pragma("GCC diagnostic pop")
