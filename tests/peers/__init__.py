"""Real DICOM programs as peers of the tests: Orthanc, and of DCMTK its archive, receiver, printer and clients.

    process.py    a program that serves: started on a free port, its log kept, stopped for certain
    servers.py    orthanc, dcmqrscp, storescp, dcmprscp, each with the configuration that the tests need
    clients.py    echoscu, findscu, getscu, movescu, storescu, and what their output says
    objects.py    the real DICOM files that the archives hold

A peer that is not installed fails the test that asks for it: a skipped test proves nothing.
"""
