"""The nouns: pure values, no I/O.

path        what a rule names                    scalars    canonical values by type
actions     what can be about to happen          attributes the table of what a path may name
vocabulary  looking paths up                     levels     where HealthImaging keeps an attribute
reading     values, absent, unknown              dataset    a DICOM data set as a mapping
request     what is asked                        decision   what was decided, with its reasons
status      what a refusal may say on the wire   identity   who a peer says it is
updates     what follows from the values of an update
overlay     a data set with a few elements otherwise
"""
